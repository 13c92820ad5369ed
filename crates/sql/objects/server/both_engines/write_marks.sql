-- Purpose: marks claimed tasks as launched, each with its session, before their queries are sent.
--   The table is unlogged and only appended to. Its sentinel is missing if Postgres has crashed
--   since. The caller commits before it sends.
-- Returns: nothing.
-- Raises: PA212 when another orchestrator has taken the lead.
-- Locks: async.leader as async.hold_epoch; none that others wait for.
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
