-- Purpose: until when an unforced successor leaves the lead to a lost leader of another process,
--   whose connection may come back; one that said goodbye, or that lived in a backend, does not
--   come back.
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
