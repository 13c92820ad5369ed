-- Purpose: the backoff after a number of failures in a row: it doubles from in_first to in_last,
--   and is reduced by up to a quarter by in_random (0 to 1), so that retries do not coincide.
-- Returns: interval.
-- Raises: nothing.
-- Locks: none.
create or replace function async.backoff(in_failures int, in_first interval, in_last interval, in_random float8)
returns interval language sql immutable as $function$
  select least(in_first * power(2, least(greatest(in_failures, 1), 30) - 1), in_last)
    * (1 - in_random / 4)
$function$;
