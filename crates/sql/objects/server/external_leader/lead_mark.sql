-- Purpose: notes which claimed tasks are about to be sent, and on which session; hands out their texts. Committed
--   before anything is sent.
-- Returns: the texts of those that are on the run that is marked; null where a user took the query away.
-- Raises: PA212 when another orchestrator has taken the lead.
-- Locks: async.leader as hold_epoch; none that others wait for.
create or replace function async.lead_mark(in_epoch bigint, in_ids bigint[], in_runs int[], in_sessions bigint[])
returns table (task_id bigint, query text)
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $function$
#variable_conflict use_column
begin
  perform async.hold_epoch(in_epoch);
  insert into async.launch_mark (task_id, run, session_id)
  select m.task_id, m.run, m.session_id from unnest(in_ids, in_runs, in_sessions) as m(task_id, run, session_id);
  return query
  select t.task_id, t.query
  from unnest(in_ids, in_runs) as m(task_id, run)
  join async.task t on t.task_id = m.task_id and t.run = m.run;
end
$function$;
