-- Purpose: checks now what would be checked at the end of the transaction, so that the caller, in a
--   block of its own, finds the error and not the commit.
-- Returns: nothing.
-- Raises: what deferred constraints and constraint triggers raise.
-- Locks: what they lock. (No SET clause: the triggers would inherit it.)
create or replace function async.check_constraints(in_defer text)
returns void
language plpgsql
as $function$
begin
  if in_defer is not null then
    set constraints all immediate;
    execute in_defer;
  end if;
end
$function$;
