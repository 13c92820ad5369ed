-- Purpose: whether a statement may run inside a DO block, as one that the wrapper knows. SELECT
--   INTO may not (plpgsql would take the INTO for its own).
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.statement_is_wrappable(in_first text, in_main text, in_has_into bool)
returns bool language sql immutable as $function$
  select in_first in ('select', 'values', 'table', 'show', 'explain', 'insert', 'update', 'delete', 'merge', '(')
      and not (in_has_into and in_first in ('select', '('))
    or in_first = 'with' and in_main in ('select', 'values', 'table', 'insert', 'update', 'delete', 'merge', '(')
      and not (in_has_into and in_main in ('select', '('))
$function$;
