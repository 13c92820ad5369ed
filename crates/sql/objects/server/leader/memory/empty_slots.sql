-- Purpose: the task of a slot is over: forgets it. The session is kept after success (or when nothing was sent), and
--   dropped after anything else, and once a cancel went out to it: a late one must never hit the next query.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the session's row of async.session.
create or replace function async.empty_slots(in_slots int[])
returns void
language plpgsql
as $function$
begin
  perform async.drop_slot_session(s.slot)
  from pg_temp.leader_slot s
  where s.slot = any (in_slots)
    and (s.cancels > 0 or s.spent or s.outcome is distinct from 'ok' and (s.sent is not null or s.outcome = 'lost'));
  update pg_temp.leader_slot s
  set state = case when s.state = 'empty' then 'empty' when s.cleaning then 'cleaning' else 'idle' end,
      since = clock_timestamp(),
      task_id = null, run = null, pool = null, sent = null, outcome = null, error = null, recorded = false,
      intention = null, intention_error = null, intention_duration = null, cancel_at = null, cancels = 0,
      request_ids = '{}', doubt = false, unreachable = false, spent = false, retry_at = '-infinity', tries = 0
  where s.slot = any (in_slots);
end
$function$;
