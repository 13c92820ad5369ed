-- Purpose: refuses a target to a role. in_prefix begins the message, and in_why ends it.
-- Returns: never.
-- Raises: PA082.
-- Locks: none.
create or replace function async.refuse_target(in_prefix text, in_caller name, in_target text, in_why text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  raise exception '%', format('%s%I may not use the target %L%s', in_prefix, in_caller, in_target, in_why)
    using errcode = 'PA082', hint = 'The owner of the schema async grants targets: select async.grant_client(...)';
end
$function$;
