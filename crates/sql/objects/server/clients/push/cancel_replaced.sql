-- Purpose: cancels tasks that wait for their first start, since tasks with their unique keys replace
--   them. A task that was claimed or offered meanwhile stays.
-- Returns: nothing.
-- Raises: the errors of user triggers.
-- Locks: the rows of the tasks, in the order of their keys, until the end of the transaction; waits for
--   them.
create or replace function async.cancel_replaced(in_ids bigint[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  -- The writer takes the longer for a task, the more it gets at once.
  c_at_once constant int := 1000;
  v_ids bigint[];
  v_first int := 1;
  -- A schedule is fired by the leader.
  v_role constant text := case when not async.is_leader() then session_user end;
begin
  v_ids := array(
    select t.task_id from async.task t
    where t.task_id = any (in_ids) and t.consumed is null and t.yielded is null and t.processed is null
      and t.run = 0 and t.tracked is not true
    order by t.target collate "C", t.unique_key collate "C"
    for no key update);
  while v_first <= cardinality(v_ids) loop
    perform from async.write_now(array(
      select row(i, null, 'REQUEST', clock_timestamp(), 'CANCELED', 'replaced by a task with the same unique key',
        null, null, null, null, null, v_role)::async.event_t
      from unnest(v_ids[v_first : v_first + c_at_once - 1]) i));
    v_first := v_first + c_at_once;
  end loop;
end
$function$;
