-- Purpose: whether the password of a connection string is a reference: ${ENV:PGASYNC_SECRET_...}, a
--   variable in the environment of pgasync run, or ${FILE:...}, a file in its --secrets-dir. Only
--   the Rust engine resolves references.
-- Returns: bool; false for null, and for a string that cannot be parsed. (SECURITY DEFINER, because
--   views call it as their reader, who may not execute async.parse_conninfo.)
-- Raises: nothing.
-- Locks: none.
create or replace function async.references_secret(in_connection_string text) returns bool
language plpgsql immutable security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
  -- Without the parser, which is slow, for the strings that have none.
  if position('${' in in_connection_string) > 0 then
    return coalesce(async.parse_conninfo(in_connection_string) ->> 'password'
      ~ E'^\\$\\{(ENV:PGASYNC_SECRET_[A-Za-z0-9_]+|FILE:[A-Za-z0-9_-][A-Za-z0-9_.-]*)\\}$', false);
  end if;
  return false;
exception when sqlstate 'PA001' then
  return false;
end
$function$;
