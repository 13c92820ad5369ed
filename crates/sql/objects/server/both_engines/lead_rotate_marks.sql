-- Purpose: starts the launch marks anew: truncates them (unless a reader is in the way), writes a
--   sentinel of a new generation and marks of exactly the given tasks and runs, all in one
--   transaction.
-- Returns: nothing.
-- Raises: PA212 when another orchestrator has taken the lead.
-- Locks: async.leader as hold_epoch; async.launch_mark exclusively, for a moment; gives up after
--   100 ms.
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
  -- A few tasks, many marks: the marks are read once.
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
