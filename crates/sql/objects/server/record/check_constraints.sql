-- Purpose: checks deferred constraints now, so that the block of the caller gets the error, and not
--   the commit.
-- Returns: nothing.
-- Raises: the errors of deferred constraints and constraint triggers.
-- Locks: the locks of these constraints and triggers. (The search path is
--   control.trigger_search_path, which user triggers inherit: see async.bind_trigger_path. Every
--   name and operator is qualified.)
create or replace function async.check_constraints(
  in_defer text, in_check text default 'set constraints all immediate'
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  if in_defer is not null then
    execute in_check;
    execute in_defer;
  end if;
end
$function$;
