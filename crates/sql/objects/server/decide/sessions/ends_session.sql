-- Purpose: whether an error means that the session is gone, so that the outcome of its query is
--   unknown: lost connections (08), and the errors of a backend that is ended.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.ends_session(in_code text)
returns bool
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select in_code like '08%' or in_code in ('57P01', '57P02', '57P03', '57P04', '57P05', '25P03', '25P04')
$function$;
