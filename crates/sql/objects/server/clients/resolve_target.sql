-- Purpose: what a caller means by a target's name: SELF, in any case, is the server itself unless a
--   target is named just so.
-- Returns: the name.
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
