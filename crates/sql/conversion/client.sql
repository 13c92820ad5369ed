-- What a client database has, as the migration 0001_client creates it.
update async.client_control set
  client_only = to_regclass('async.control') is null,
  connection_string = nullif(connection_string, ''),
  version = '0.1.0';
insert into async.client_control (client_only, version)
select to_regclass('async.control') is null, '0.1.0' where not exists (select from async.client_control);
alter table async.client_control
  alter column client_only set default true,
  alter column client_only set not null,
  alter column connection_string drop default,
  alter column version set default '0.1.0',
  alter column version set not null;
drop index if exists async.client_control_expr_idx;
create unique index client_control_one_row on async.client_control ((true));

-- A client database of the library has neither these types nor the table.
do $client$
begin
  if to_regclass('async.control') is null then
    create type async.task_execution_state_t as enum ('READY', 'RUNNING', 'YIELDED', 'FINISHED');
    create type async.routine_type_t as enum ('STARTUP', 'LOOP');
    create table async.task (
      task_id bigserial primary key,
      target text not null,
      priority int not null default 0,
      entered timestamptz not null default clock_timestamp(),
      consumed timestamptz,
      processed timestamptz,
      yielded timestamptz,
      finish_status async.finish_status_t,
      source text,
      query text,
      failed bool,
      processing_error text,
      asynchronous_finish bool,
      times_up timestamptz,
      task_data jsonb,
      concurrency_pool text,
      manual_timeout interval,
      tracked bool,
      track_yielded bool,
      eligible_when timestamptz,
      run int not null default 0,
      constraint task_finish_has_a_status check (processed is null or finish_status is not null),
      constraint task_failed_only_at_the_end check (failed is null or processed is not null)
    );
  end if;
end
$client$;
