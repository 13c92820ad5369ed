-- The tables are those of these migrations now, so the installation runs the later ones.
create table async.migration (
  migration text primary key,
  applied timestamptz not null default clock_timestamp()
);
do $note$
declare
  v_ready bigint;
  v_running bigint;
  v_yielded bigint;
  v_finished bigint;
begin
  insert into async.migration (migration) values ('0001_client');
  if to_regclass('async.control') is null then
    raise notice 'the schema async of the library was converted, as a client database';
    return;
  end if;
  insert into async.migration (migration) values ('0001_server');
  select
    count(*) filter (where t.processed is null and t.consumed is null and t.yielded is null),
    count(*) filter (where t.processed is null and t.consumed is not null and t.yielded is null),
    count(*) filter (where t.processed is null and t.yielded is not null),
    count(*) filter (where t.processed is not null)
  into v_ready, v_running, v_yielded, v_finished
  from async.task t;
  raise notice 'the schema async of the library was converted: % tasks wait, % ran, % have yielded, % are finished',
      v_ready, v_running, v_yielded, v_finished
    using hint = 'The outcome of the tasks with a query that ran when the orchestrator stopped is unknown: the next '
      'leader records it so.';
end
$note$;
