-- Purpose: the same connection string, for dblink, with settings added or replaced; a JSON null takes
--   one away. A string without a password has an empty one then: the libpq of the server would take
--   the password that stands in the environment of the postmaster. (Password files are still read. A
--   service may have a password of its own, so its name takes the place of one.)
-- Returns: key='value' pairs, quoted for libpq, by key; null for null.
-- Raises:  PA001 when the string cannot be read.
-- Locks:   none.
create or replace function async.extend_conninfo(in_conninfo text, in_settings jsonb) returns text
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $function$
  select case when in_conninfo is not null then coalesce(
    (
      select string_agg(
        format('%s=''%s''', s.key, regexp_replace(s.value, '([''\\])', '\\\1', 'g')), ' ' order by s.key)
      from (select async.parse_conninfo(in_conninfo) || coalesce(in_settings, '{}') as given) g
      cross join lateral jsonb_each_text(
        case when g.given ? 'service' then '{}' else '{"password": ""}' end || g.given) s
      where s.value is not null
    ),
    '')
  end
$function$;
