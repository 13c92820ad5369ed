-- Purpose: the hint of an error about an unknown target, for the role that called. Only administrators
--   may make and list targets.
-- Returns: text.
-- Raises: nothing.
-- Locks: none.
create or replace function async.hint_of_targets(in_caller name) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $function$
  select case
    when has_function_privilege(in_caller, 'async.configure(jsonb)', 'execute')
      then 'async.set_target adds targets; async.v_target lists them.'
    else 'An administrator adds targets.'
  end
$function$;
