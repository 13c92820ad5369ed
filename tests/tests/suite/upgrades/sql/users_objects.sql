-- What users have on the tables of the library.
create table public.flow_step (task_id bigint primary key references async.task on delete cascade, step text);
create table public.job (name text, target text references async.target on update cascade);
create table public.audit (audit serial, task_id bigint, state text, happened timestamptz default clock_timestamp());
create table public.shift (began timestamptz default now());
create table public.heart (beats int default 0);
insert into public.flow_step values (1, 'first'), (17, 'second');
insert into public.job values ('load', 'there');
insert into public.heart default values;
create index by_key on async.task ((task_data ->> 'key')) where async.task_execution_state(task) = 'READY';
create view public.my_task as
  select t.task_id, t.target, async.task_execution_state(t) as state from async.task t where t.source = 'nightly load';
create function public.note() returns trigger language plpgsql as $$
begin
  insert into audit (task_id, state) values (new.task_id, async.task_execution_state(new)::text);
  return null;
end $$;
create function public.refuse() returns trigger language plpgsql as $$ begin raise 'this trigger is disabled'; end $$;
create trigger note after insert or update on async.task for each row execute procedure public.note();
create trigger refuse before update on async.task for each row execute procedure public.refuse();
create trigger always_note after update on async.task for each row when (new.finish_status = 'FAILED')
  execute procedure public.note();
alter table async.task disable trigger refuse;
alter table async.task enable always trigger always_note;
create procedure public.beat() language sql as 'update heart set beats = beats + 1';
create procedure public.begin_shift() language sql as 'insert into shift default values';
create table public.before as select * from async.task;
