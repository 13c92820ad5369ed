-- Purpose: refuses a connection string whose password is a reference, before dblink sends the
--   reference to the target as a password.
-- Returns: nothing.
-- Raises: PA215.
-- Locks: none.
create or replace function async.refuse_reference(in_connection_string text, in_target text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  if async.references_secret(in_connection_string) then
    raise exception 'target "%" needs pgasync run: its password is a reference', in_target
      using errcode = 'PA215', hint = 'The SQL engine resolves no references. Its tasks wait.';
  end if;
end
$function$;
