-- Purpose: the retry policy of a task with a receipt. Its text is one transaction, so no part of it
--   commits. Without a policy a lost run is retried, and the third one fails the task.
-- Returns: jsonb, as async.copy_retry_policy.
-- Raises: nothing. Locks: none.
create or replace function async.receipt_policy(in_retry jsonb)
returns jsonb
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select coalesce(in_retry - 'commits',
    '{"name": "receipt", "max_attempts": 3, "delay_us": 0, "delay_max_us": 0, "sqlstates": ["PA216"]}')
$function$;
