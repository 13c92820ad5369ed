-- Purpose: whether a target, as it is configured now, was seen to lead to this very database as a
--   member of its owner (see note_target_at_self).
-- Returns: it.
-- Raises:  nothing. Locks: none.
create or replace function async.is_target_at_self(in_target text) returns bool
language sql stable
set search_path = pg_catalog, pg_temp
as $function$
  select exists (
    select
    from async.target_at_self a
    join async.target t on t.target = a.target and t.connection_string = a.connection_string
    where a.target = in_target)
$function$;
