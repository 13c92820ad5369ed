-- Purpose: checks that a caller may use a target of this server (async.may_use_target).
-- Returns: nothing.
-- Raises: PA082. in_prefix begins the message.
-- Locks: none.
create or replace function async.check_target(
  in_prefix text, in_caller name, in_scope async.scope_t, in_target text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  if async.may_use_target(in_scope, in_target) then
    return;
  elsif in_target = (select c.self_target from async.control c) then
    perform async.refuse_target(in_prefix, in_caller, in_target, ', the server itself');
  elsif (in_target = any (in_scope.targets) or '*' = any (in_scope.targets)) is not true then
    perform async.refuse_target(in_prefix, in_caller, in_target, '');
  else
    perform async.refuse_target(in_prefix, in_caller, in_target,
      ', which leads to the server itself as its owner, without a grant on SELF');
  end if;
end
$function$;
