-- Purpose: checks that a caller may use a target of this server. A target that led to this database
--   as a member of the owner of the schema, with its present connection string, counts as the server
--   itself besides (async.note_session_at_self).
-- Returns: nothing.
-- Raises: PA082. in_prefix begins the message.
-- Locks: none.
create or replace function async.check_target(
  in_prefix text, in_caller name, in_scope async.scope_t, in_target text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  if in_target = (select c.self_target from async.control c) then
    if in_scope.reaches_self is not true then
      perform async.refuse_target(in_prefix, in_caller, in_target, ', the server itself');
    end if;
  elsif (in_target = any (in_scope.targets) or '*' = any (in_scope.targets)) is not true then
    perform async.refuse_target(in_prefix, in_caller, in_target, '');
  elsif in_scope.reaches_self is not true and exists (
    select
    from async.target_at_self a
    join async.target t on t.target = a.target and t.connection_string = a.connection_string
    where a.target = in_target)
  then
    perform async.refuse_target(in_prefix, in_caller, in_target,
      ', which leads to the server itself as its owner, without a grant on SELF');
  end if;
end
$function$;
