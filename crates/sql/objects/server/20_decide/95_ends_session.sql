-- Purpose: whether an error with this SQLSTATE says that the session is over, rather than something about the
--   statement: the one place of the SQL side that knows.
-- Returns: bool; null for null.
-- Raises: nothing.
-- Locks: none.
create or replace function async.ends_session(in_code text)
returns bool language sql immutable as $function$
  select in_code like '08%'
    or in_code in ('57P01', '57P02', '57P03', '57P04', '57P05', '25P03', '25P04')
$function$;
