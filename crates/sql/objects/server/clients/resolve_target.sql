-- Purpose: the target that a name stands for. SELF, in upper or lower case, is the server itself,
--   unless a target has exactly this name.
-- Returns: the name of the target.
-- Raises: nothing. Locks: none.
create or replace function async.resolve_target(in_target text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $function$
  select case
    when upper(in_target) <> 'SELF' or exists (select from async.target t where t.target = in_target) then in_target
    else (select c.self_target from async.control c)
  end
$function$;
