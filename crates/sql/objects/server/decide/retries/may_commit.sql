-- Purpose: whether a part of a text may be committed when the text fails: transaction control, a
--   procedure or DO block, which may contain it, and what cannot run in a transaction block.
-- Returns: bool; true for a text that is too long to be scanned to its end.
-- Raises: nothing. Locks: none.
create or replace function async.may_commit(in_query text)
returns bool
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $function$
begin
  -- Most texts are clearly one statement that cannot.
  if in_query is null
    or strpos(rtrim(in_query, E' \t\n\r\f\x0b;'), ';') = 0
      and lower(substring(in_query from E'^[ \\t\\n\\r\\f\\v]*([[:alpha:]]+)'))
        in ('select', 'insert', 'update', 'delete', 'values', 'table', 'with', 'merge')
  then
    return false;
  end if;
  return exists (
    select from async.scan_statements(in_query) s
    where not s.complete
      or s.first_word in ('call', 'do', 'begin', 'start', 'commit', 'end', 'rollback', 'abort', 'prepare', 'vacuum',
        'cluster', 'checkpoint')
      or s.first_word in ('create', 'drop', 'alter', 'reindex')
        and s.statement ~* E'\\m(concurrently|database|tablespace|subscription|system)\\M');
end
$function$;
