-- Purpose: async.targets as a client database calls it on its server, within the targets that it
--   granted to its own caller.
-- Returns: as async.targets.
-- Raises: as async.targets.
-- Locks: none.
create or replace function async.targets_forwarded(in_tag text, in_within async.scope_t) returns text[]
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
  return (select async.targets_as(c.caller, c.ticket, in_tag, in_within) from async.caller c);
end
$function$;
