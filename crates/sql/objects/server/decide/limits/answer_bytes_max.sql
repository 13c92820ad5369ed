-- Purpose: the limit on what a target answers for a task whose rows are kept, for a limit on its rows:
--   base64 takes four bytes for three, and the rest of the object is short.
-- Returns: bytes.
-- Raises: nothing. Locks: none.
create or replace function async.answer_bytes_max(in_result_bytes_max int) returns int
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select in_result_bytes_max / 3 * 4 + 4096
$function$;
