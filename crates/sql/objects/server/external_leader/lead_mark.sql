-- Purpose: marks launches (see async.write_marks), and returns the texts of the tasks.
-- Returns: for each task that has the marked run its text, or the reason why it must not be launched;
--   whether it may start in a session at this database itself (async.session.at_self); for a task
--   whose rows are kept, the most bytes that its target may answer; and whether it has a receipt.
-- Raises: PA212 when another orchestrator has taken the lead.
-- Locks: async.leader as async.hold_epoch; none that others wait for.
create or replace function async.lead_mark(in_epoch bigint, in_ids bigint[], in_runs int[], in_sessions bigint[])
returns table (task_id bigint, query text, refused text, may_reach_self bool, answer_bytes_max int, receipt bool)
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $function$
#variable_conflict use_column
begin
  perform async.write_marks(in_epoch, in_ids, in_runs, in_sessions);
  return query
  select t.task_id,
    case when octet_length(t.query) <= async.query_bytes_max() then
      case when t.keep_result_for is null and t.receipt is not true then t.query
        else async.launch_text(t.query, t.keep_result_for is not null, t.receipt, t.task_id, t.run, m.session_id, t.target)
      end end,
    case when (octet_length(t.query) <= async.query_bytes_max()) is not true then
      async.refuse_query(octet_length(t.query)) end,
    t.may_reach_self is not false,
    case when t.keep_result_for is not null then
      async.answer_bytes_max((select c.result_bytes_max from async.control c)) end,
    coalesce(t.receipt, false)
  from unnest(in_ids, in_runs, in_sessions) as m(task_id, run, session_id)
  join async.task t on t.task_id = m.task_id and t.run = m.run
  -- Always true, and selective to the planner: see async.write_at_once.
  where m.run = m.run + 0;
end
$function$;
