-- Purpose: whether a text may leave a transaction open: one of its statements begins a transaction
--   or chains one to another, or the text is too long to be scanned to its end.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.opens_transaction(in_query text)
returns bool
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $function$
begin
  return exists (
    select from async.scan_statements(in_query) s
    where not s.complete
      or s.first_word in ('begin', 'start')
      or s.first_word in ('commit', 'end', 'rollback', 'abort') and s.statement ~* E'\\mchain\\M');
end
$function$;
