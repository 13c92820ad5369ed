-- Purpose: the application_name of a session of the present leader at a target, at most 63 bytes.
-- Returns: text.
-- Raises: nothing.
-- Locks: none.
create or replace function async.session_name(in_role text)
returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $function$
  select format('pgasync/%s/%s.%s/%s', l.server_id, l.epoch, e.nonce, in_role)
  from async.leader l
  join async.election e on e.epoch = l.epoch
$function$;
