-- Purpose: the end of the grace period in which an unforced successor leaves the lead to a lost
--   Rust engine, whose connection may return. A leader that wrote a goodbye, and an SQL engine, do
--   not return.
-- Returns: timestamptz.
-- Raises: nothing.
-- Locks: none.
create or replace function async.grace_ends()
returns timestamptz
language sql stable
set search_path = pg_catalog, pg_temp
as $function$
  select clock_timestamp()
    + coalesce((select c.takeover_grace from async.leader l where not l.goodbye and l.engine <> 'sql'), '0')
  from async.control c
$function$;
