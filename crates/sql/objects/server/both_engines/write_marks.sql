-- Purpose: notes which claimed tasks are about to be sent, and on which session: in an unlogged,
--   append-only table whose sentinel says whether Postgres crashed since. Committed before anything
--   is sent.
-- Returns: nothing.
-- Raises: PA212 when another orchestrator has taken the lead.
-- Locks: async.leader as hold_epoch; none that others wait for.
create or replace function async.write_marks(in_epoch bigint, in_ids bigint[], in_runs int[], in_sessions bigint[])
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.hold_epoch(in_epoch);
  insert into async.launch_mark (task_id, run, session_id)
  select m.task_id, m.run, m.session_id from unnest(in_ids, in_runs, in_sessions) as m(task_id, run, session_id);
end
$function$;
