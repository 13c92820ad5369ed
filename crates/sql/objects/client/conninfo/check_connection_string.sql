-- Purpose: checks a connection string before it is stored.
-- Returns: nothing.
-- Raises: PA001 when the string cannot be parsed, or when its password is the mask that views show.
-- Locks: none.
create or replace function async.check_connection_string(in_connection_string text) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $function$
begin
  if async.parse_conninfo(in_connection_string) ->> 'password' = '****' then
    raise exception 'the password of a connection string is the mask that stands for one'
      using errcode = 'PA001', hint = 'Give the password itself.';
  end if;
end
$function$;
