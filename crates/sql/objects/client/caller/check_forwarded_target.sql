-- Purpose: checks whether a caller of a client database may name a target. The server checks the
--   target again, with the same scope, because only the server knows which name is its own.
-- Returns: nothing.
-- Raises: PA082. in_prefix begins the message.
-- Locks: none.
create or replace function async.check_forwarded_target(
  in_prefix text, in_caller name, in_scope async.scope_t, in_target text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  if (in_target = any (in_scope.targets)
    or case when upper(in_target) = 'SELF' then in_scope.reaches_self else '*' = any (in_scope.targets) end) is false
  then
    perform async.refuse_target(in_prefix, in_caller, in_target, '');
  end if;
end
$function$;
