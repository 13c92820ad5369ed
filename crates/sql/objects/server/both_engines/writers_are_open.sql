-- Purpose: whether a transaction with an id below in_before is open that may have found the leader
--   awake (see async.fall_asleep).
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.writers_are_open(in_before bigint)
returns bool
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  return exists (select from async.open_writers() w where w < in_before);
end
$function$;
