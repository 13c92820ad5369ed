-- Purpose: whether a statement may run inside the DO block of the wrapper. SELECT INTO may not,
--   because plpgsql would interpret the INTO.
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
