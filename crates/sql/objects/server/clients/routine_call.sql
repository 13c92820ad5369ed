-- Purpose: the text of a routine after CALL, without a CALL of its own and without a semicolon.
-- Returns: text; null for null.
-- Raises: nothing. Locks: none.
create or replace function async.routine_call(in_routine text) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select regexp_replace(btrim(in_routine, E' \t\r\n;'), E'^call\\s+', '', 'i')
$function$;
