-- Purpose: checks whether a caller may pull from a target. async.take_offers refuses a target that
--   does not exist.
-- Returns: nothing.
-- Raises: PA082.
-- Locks: none.
create or replace function async.check_pull(in_caller name, in_scope async.scope_t, in_target text) returns void
language sql
set search_path = pg_catalog, pg_temp
as $function$
  select async.check_target('', in_caller, in_scope, t.target)
  from async.target t
  where t.target = async.resolve_target(in_target)
$function$;
