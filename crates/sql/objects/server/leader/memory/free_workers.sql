-- Purpose: ends the task of each worker in memory. The session is kept after a success, or when
--   nothing was sent. It is dropped otherwise, and after any cancel, because a late cancel must not
--   reach the next query.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the sessions' rows of async.session.
create or replace function async.free_workers(in_workers int[])
returns void
language plpgsql
as $function$
begin
  perform async.drop_session(s.worker)
  from pg_temp.leader_worker s
  where s.worker = any (in_workers)
    and (s.cancels > 0 or s.spent or s.outcome is distinct from 'ok' and (s.sent is not null or s.outcome = 'lost'));
  update pg_temp.leader_worker s
  set state = case when s.state = 'empty' then 'empty' when s.cleaning then 'cleaning' else 'idle' end,
      since = clock_timestamp(),
      task_id = null, run = null, pool = null, sent = null, outcome = null, error = null, result = null, recorded = false,
      intention = null, intention_error = null, intention_duration = null, intention_by = null, cancel_at = null, cancels = 0,
      request_ids = '{}', result_read = false, uncertain = false, broken_at = null, unreachable = false, spent = false, retry_at = '-infinity', tries = 0
  where s.worker = any (in_workers);
end
$function$;
