-- Purpose: async.get_tasks on a server. A task whose row cannot be written is skipped, and the
--   tasks behind it are taken.
-- Returns: the tasks that were taken and are RUNNING, in order.
-- Raises: PA040 for a target that clients cannot pull from, PA041 for a limit below 1. A warning
--   for each row that cannot be written.
-- Locks: the offers and rows that it takes, until the end of the transaction.
create or replace function async.pull_tasks(in_target text, in_limit int, in_timeout interval)
returns table (out_task_id bigint, out_priority int, out_times_up timestamptz, out_task_data jsonb)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_until constant timestamptz := async.pull_until(in_timeout);
  v_events async.event_t[];
  v_refused bigint[] := '{}';
  v_tasks bigint[];
begin
  loop
    v_events := async.take_offers(in_target, in_limit, v_until, v_refused);
    exit when v_events is null;
    v_tasks := async.write_pulls(v_events);
    v_refused := pg_catalog.array_cat(v_refused, v_tasks);
    if pg_catalog.cardinality(v_tasks) operator(pg_catalog.<) pg_catalog.cardinality(v_events) then
      return query
        select * from async.taken_tasks(v_events);
      exit;
    end if;
  end loop;
end
$function$;
