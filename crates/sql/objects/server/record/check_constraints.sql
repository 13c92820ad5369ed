-- Purpose: checks deferred constraints now, so that the block of the caller gets the error, and not
--   the commit.
-- Returns: nothing.
-- Raises: the errors of deferred constraints and constraint triggers.
-- Locks: the locks of these constraints and triggers. (No SET clause: user triggers would inherit
--   it.)
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
