-- Purpose: tasks whose deferral is over join the queue.
-- Returns: how many.
-- Raises: nothing of a single task's: one that cannot be written is left alone for a while.
-- Locks: the rows of async.task that it changes; never waits for one.
create or replace function async.promote_deferred(in_now timestamptz)
returns int
language plpgsql
as $function$
declare
  v_ids bigint[];
  v_failed int;
begin
  v_ids := async.deferred_tasks(in_now,
    array(select p.task_id from pg_temp.leader_parked p where p.until > in_now));
  if v_ids is null then
    return 0;
  end if;
  select count(async.park(p.out_task_id, 'failed', p.out_error, in_now)) into v_failed
  from async.promote_tasks(v_ids) p;
  return cardinality(v_ids) - v_failed;
end
$function$;
