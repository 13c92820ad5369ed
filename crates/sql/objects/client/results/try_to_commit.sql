-- Purpose: raises the error of a COMMIT where none is possible, in the language of the session. A
--   function can never commit.
-- Returns: never.
-- Raises: 2D000.
-- Locks: none.
create or replace function async.try_to_commit() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  commit;
end
$function$;
