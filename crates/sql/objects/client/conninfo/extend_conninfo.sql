-- Purpose: adds or replaces settings in a connection string. A JSON null removes a setting.
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
        format('%s=''%s''', s.key, regexp_replace(s.value, '([''\\])', '\\\1', 'g')), ' ' order by s.key)
      from jsonb_each_text(async.parse_conninfo(in_conninfo) || coalesce(in_settings, '{}')) s
      where s.value is not null
    ),
    '')
  end
$function$;
