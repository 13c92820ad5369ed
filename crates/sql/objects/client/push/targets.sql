-- Purpose: the targets with a tag, without retired ones and those that the caller may not use.
-- Returns: their names, in order; an empty array if there are none.
-- Raises: the errors of async.forward on a client database.
-- Locks: none.
create or replace function async.targets(_tag text) returns text[]
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
  return (select async.targets_as(c.caller, c.ticket, _tag, null) from async.caller c);
end
$function$;
