-- Purpose: whether a statement that may be wrapped returns rows.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.statement_returns_rows(in_main text, in_has_returning bool)
returns bool language sql immutable as $function$
  select in_main in ('select', 'values', 'table', 'show', 'explain', '(') or in_has_returning
$function$;
