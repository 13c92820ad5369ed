-- Purpose: whether the reader may read the result of a task: the role that pushed it, those that have its
--   privileges, and administrators.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.may_read_result(in_keep_result_for text) returns bool
language sql stable security invoker
set search_path = pg_catalog, pg_temp
as $function$
  select in_keep_result_for = current_user
    or exists (
      select from pg_roles r where r.rolname = in_keep_result_for::name and pg_has_role(r.oid, 'usage'))
    or has_function_privilege('async.configure(jsonb)', 'execute')
$function$;
