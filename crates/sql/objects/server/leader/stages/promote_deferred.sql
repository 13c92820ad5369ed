-- Purpose: promotes tasks whose deferral has ended, so that they join the queue.
-- Returns: the number of tasks.
-- Raises: nothing because of a single task. A task that cannot be written goes into backoff.
-- Locks: the rows of async.task that it changes; never waits for one.
create or replace function async.promote_deferred(in_now timestamptz)
returns int
language plpgsql
as $function$
declare
  v_ids constant bigint[] := async.deferred_tasks(in_now, async.tasks_backing_off(in_now));
  v_backing_off int;
begin
  if v_ids is null then
    return 0;
  end if;
  select count(*) filter (where w.backs_off) into v_backing_off
  from async.leader_write(in_now, null, null, null, null, null, array(
    select row(i, null, 'PROMOTE', in_now, null, null, null, null, null, null, null, null)::async.event_t
    from unnest(v_ids) i)) w;
  return cardinality(v_ids) - v_backing_off;
end
$function$;
