-- Purpose: READY tasks whose deferral has ended, the earliest first, without in_skip, tasks that
--   are in backoff. Rows that other transactions hold are included. The writer reports them, and
--   they are retried.
-- Returns: at most 5000 ids; null when there are none.
-- Raises: nothing.
-- Locks: none.
create or replace function async.deferred_tasks(in_now timestamptz, in_skip bigint[])
returns bigint[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $function$
begin
  return (
    select array_agg(d.task_id)
    from (
      select t.task_id from async.task t
      where t.eligible_when is not null and t.processed is null
        -- In this form, the planner cannot take the index of all READY tasks (task_arrived).
        and t.eligible_when <= in_now and coalesce(t.consumed, t.yielded) is null
        and array_position(in_skip, t.task_id) is null
      order by t.eligible_when, t.task_id
      limit 5000
    ) d);
end
$function$;
