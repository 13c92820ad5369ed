-- Purpose: checks a connection string before it is stored.
-- Returns: nothing.
-- Raises: PA001 when the string cannot be parsed, when its password is the mask that views show, and
--   for a reference to a secret that is malformed or not the password.
-- Locks: none.
create or replace function async.check_connection_string(in_connection_string text) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_settings constant jsonb := async.parse_conninfo(in_connection_string);
begin
  if v_settings ->> 'password' = '****' then
    raise exception 'the password of a connection string is the mask that stands for one'
      using errcode = 'PA001', hint = 'Give the password itself.';
  end if;
  if not async.references_secret(in_connection_string)
      and exists (select from jsonb_each_text(v_settings) s where s.value ~ E'\\$\\{(ENV|FILE):')
    or exists (select from jsonb_each_text(v_settings) s where s.key <> 'password' and s.value ~ E'\\$\\{(ENV|FILE):')
  then
    raise exception 'a connection string has a reference that is no password of the form '
        '${ENV:PGASYNC_SECRET_NAME} or ${FILE:name}'
      using errcode = 'PA001', hint = 'A file name has letters, digits, _, - and ., and does not begin with a dot.';
  end if;
end
$function$;
