-- Purpose: adds or replaces settings in a connection string for dblink. A JSON null removes a
--   setting. A string without a password gets an empty one, because the libpq of the server would
--   take PGPASSWORD from the environment of the postmaster. Password files are still read. A string
--   with a service gets none, because the service may have a password.
-- Returns: key='value' pairs in the order of the keys, quoted for libpq; null for null.
-- Raises: PA001 when the string cannot be parsed.
-- Locks: none.
create or replace function async.extend_conninfo(in_conninfo text, in_settings jsonb) returns text
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $function$
  select case when in_conninfo is not null then coalesce(
    (
      select string_agg(
        format('%s=''%s''', s.key, regexp_replace(s.value, E'([''\\\\])', E'\\\\\\1', 'g')), ' ' order by s.key)
      from (select async.parse_conninfo(in_conninfo) || coalesce(in_settings, '{}') as given) g
      cross join lateral jsonb_each_text(
        case when g.given ? 'service' then '{}'::jsonb else '{"password": ""}'::jsonb end || g.given) s
      where s.value is not null
    ),
    '')
  end
$function$;
