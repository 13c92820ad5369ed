-- Purpose: starts the launch marks anew, in one transaction: truncates the table (unless a reader
--   holds it), writes a sentinel with a new generation, and marks exactly the given tasks and runs.
-- Returns: nothing.
-- Raises: PA212 when another orchestrator has taken the lead; lock_not_available when async.leader
--   is locked for 100 ms.
-- Locks: async.leader as async.hold_epoch; async.launch_mark exclusively, for at most 100 ms of
--   waiting.
create or replace function async.lead_rotate_marks(in_epoch bigint, in_ids bigint[], in_runs int[])
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '100ms'
as $function$
declare
  v_sessions bigint[];
begin
  perform async.hold_epoch(in_epoch);
  -- There are few tasks and many marks, so the marks are read once.
  v_sessions := array(
    select coalesce(m.session_id, 0)
    from unnest(in_ids, in_runs) with ordinality as i(task_id, run, place)
    left join (
      select k.task_id, k.run, max(k.session_id) as session_id
      from async.launch_mark k
      where k.task_id = any (in_ids)
      group by k.task_id, k.run
    ) m on m.task_id = i.task_id and m.run = i.run
    order by i.place);
  begin
    truncate async.launch_mark;
  exception when lock_not_available then
    null;
  end;
  update async.leader set generation = generation + 1;
  insert into async.launch_mark (task_id, run, session_id)
  select 0, l.generation, 0 from async.leader l
  union all
  select k.task_id, k.run, k.session_id from unnest(in_ids, in_runs, v_sessions) as k(task_id, run, session_id);
end
$function$;
