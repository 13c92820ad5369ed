-- Purpose: checks now what would be checked at the end of the transaction, so that the caller, in a
--   block of its own, finds the error and not the commit.
-- Returns: nothing.
-- Raises: what deferred constraints and constraint triggers raise.
-- Locks: what they lock. (The search path is control.trigger_search_path, so that users' triggers
--   inherit it: see async.bind_trigger_path. Every name and operator in here is qualified.)
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
