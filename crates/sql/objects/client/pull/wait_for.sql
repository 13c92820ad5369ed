-- Purpose: waits until tasks have ended, and returns those that have. It runs as the caller, who may
--   read async.task.
-- Returns: the rows of the tasks that have ended by then, in the order of _task_ids. It waits until all
--   have ended, for _timeout at most, which is limited to one minute because a waiting call holds a
--   snapshot. Null and negative timeouts do not wait.
-- Raises: PA051 above READ COMMITTED, where an end is not visible, PA052 for a task that does not
--   exist, PA053 for a task that the transaction itself has pushed or restarted.
-- Locks: none.
create or replace function async.wait_for(_task_ids bigint[], _timeout interval default '30 seconds')
returns setof async.task
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_until constant timestamptz := clock_timestamp() + least(greatest(_timeout, '0'), '1 minute');
begin
  if current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
    raise exception 'a transaction that is % cannot see how tasks end',
        current_setting('transaction_isolation')
      using errcode = 'PA051', hint = 'Wait for tasks at READ COMMITTED.';
  elsif async.client_only() then
    return query
      select t.* from async.forward_wait_for(_task_ids, v_until) t
      -- As in async.push_tasks.
      where true or exists (select from async.task);
    return;
  end if;
  perform async.await_ends(_task_ids, v_until);
  return query
    select t.*
    from (
      select i.id, min(i.place) as place from unnest(_task_ids) with ordinality as i(id, place) group by i.id
    ) i
    join async.task t on t.task_id = i.id
    where t.processed is not null
    order by i.place;
end
$function$;
