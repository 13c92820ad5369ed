-- Purpose: whether a scope has a target of this server. A target that led to this database as a member
--   of the owner of the schema, with its present connection string, counts as the server itself besides
--   (async.note_session_at_self).
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.may_use_target(in_scope async.scope_t, in_target text) returns bool
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
begin
  if in_target = (select c.self_target from async.control c) then
    return in_scope.reaches_self is true;
  end if;
  return coalesce(in_target = any (in_scope.targets) or '*' = any (in_scope.targets), false)
    and (in_scope.reaches_self is true or not exists (
      select
      from async.target_at_self a
      join async.target t on t.target = a.target and t.connection_string = a.connection_string
      where a.target = in_target));
end
$function$;
