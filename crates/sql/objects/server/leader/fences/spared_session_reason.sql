-- Purpose: the reason why a fence leaves a session alone.
-- Returns: text.
-- Raises: nothing.
-- Locks: none.
create or replace function async.spared_session_reason(in_session bigint)
returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select format(
    'left alone until it ends, since address, port or timeline of this server have changed: it may belong to another '
    'server, of which this is a copy. If this is the copy, stop the orchestrator and select async.adopt(); if nothing uses '
    'the session any more, select async.write_off_session(%s)', in_session)
$function$;
