-- Purpose: the text that both engines send for a query whose rows are kept: a block that runs it
--   (async.keep_block), and in the same transaction a statement that returns what async.read_result reads.
-- Returns: text. A query that cannot be kept, because it was changed after the push, fails at its target.
-- Raises: nothing.
-- Locks: none.
create or replace function async.keep_query(in_query text, in_bytes_max int) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $function$
begin
  return async.keep_block(in_query, in_bytes_max) || '; select pg_catalog.current_setting(''pgasync.result'') as result';
end
$function$;
