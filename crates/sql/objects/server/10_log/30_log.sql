-- Purpose: log('NOTICE', _message).
-- Returns: nothing.
-- Raises:  nothing.
-- Locks:   none that others wait for.
create or replace function async.log(_message text) returns void
language sql
set search_path = pg_catalog, pg_temp
as $function$
  select async.log('NOTICE', _message)
$function$;
