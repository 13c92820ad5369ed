-- Purpose: waits until all of these tasks have ended, or have been deleted meanwhile.
-- Returns: nothing.
-- Raises: PA052 for a task that does not exist, PA053 for an unfinished one that the transaction itself
--   has pushed or restarted.
-- Locks: none.
create or replace function async.await_ends(in_task_ids bigint[], in_until timestamptz) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_pause_seconds_max constant float8 := 0.1;
  v_pause_seconds float8 := 0.002;
  v_mine constant bigint := txid_current_if_assigned();
  v_refused record;
  v_open bigint[];
begin
  select i.id, t.task_id is not null as known into v_refused
  from unnest(in_task_ids) with ordinality as i(id, place)
  left join async.task t on t.task_id = i.id
  where t.task_id is null or t.processed is null and t.arrived = v_mine and t.consumed is null
  order by i.place
  limit 1;
  if v_refused.known then
    raise exception 'task % was pushed or restarted in this transaction, and does not start before its commit',
        v_refused.id
      using errcode = 'PA053', hint = 'Commit, then wait for it.';
  elsif not v_refused.known then
    raise exception 'there is no task %', coalesce(v_refused.id::text, 'null')
      using errcode = 'PA052', hint = 'Tasks are deleted task_keep_duration after they finished.';
  end if;
  v_open := in_task_ids;
  loop
    v_open := array(
      select t.task_id from unnest(v_open) as i(id) join async.task t on t.task_id = i.id where t.processed is null);
    exit when v_open = '{}' or clock_timestamp() >= coalesce(in_until, '-infinity');
    perform pg_sleep(least(v_pause_seconds, extract(epoch from in_until - clock_timestamp())));
    v_pause_seconds := least(v_pause_seconds * 2, c_pause_seconds_max);
  end loop;
end
$function$;
