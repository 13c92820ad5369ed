-- Purpose: the receipts of runs on registered sessions that are not recorded, with what resolves them.
-- Returns: for each its session, its task and run, the statement for the target (async.void_query), the
--   error if it was voided, the result if it is there, and the error if its session was written off.
-- Raises: PA001 for a connection string that cannot be parsed.
-- Locks: none.
create or replace function async.open_receipts(in_sessions bigint[])
returns table (
  session_id bigint, task_id bigint, run int, query text, voided text, result text, written_off text
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
#variable_conflict use_column
begin
  return query
  select s.session_id, r.task_id, r.run,
    -- As in libpq, the name of the user is the default.
    async.void_query(coalesce(c.parsed ->> 'dbname', c.parsed ->> 'user', s.role), r.server_id, r.election, r.task_id,
      r.run),
    format('PA216: the session with target "%s" was lost while the query ran, and its receipt was voided: the query had '
      'no effect', s.target),
    case when t.keep_result_for is not null then
      '{"error": "the rows are lost with the session; the receipt says that the query has committed"}' end,
    case when s.written_off then format('outcome unknown: session %s with target "%s" was written off by %s',
      s.session_id, s.target, coalesce(s.written_off_by, 'an operator')) end
  from async.session s
  join async.receipt r on r.session_id = s.session_id
  join async.task t on t.task_id = r.task_id and t.run = r.run
  cross join async.control k
  cross join lateral (select async.parse_conninfo(
    case when s.target = k.self_target then async.self_conninfo() else s.connection_string end) as parsed) c
  where s.session_id = any (in_sessions)
    and t.processed is null and t.yielded is null and t.consumed is not null
  order by s.session_id, r.task_id;
end
$function$;
