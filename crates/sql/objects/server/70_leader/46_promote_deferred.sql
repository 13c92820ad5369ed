-- Purpose: tasks whose deferral is over join the queue.
-- Returns: how many.
-- Raises: what a user's trigger raises; the caller logs it.
-- Locks: the rows of async.task that it changes; never waits for one.
create or replace function async.promote_deferred(in_now timestamptz)
returns int
language plpgsql
as $function$
declare
  v_ids bigint[];
begin
  v_ids := async.deferred_tasks(in_now);
  if v_ids is null then
    return 0;
  end if;
  update async.task t set eligible_when = null where t.task_id = any (v_ids);
  return cardinality(v_ids);
end
$function$;
