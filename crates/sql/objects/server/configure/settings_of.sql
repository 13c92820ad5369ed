-- Purpose: the settings in a row of a table of the configuration: without the columns that the leader
--   writes.
-- Returns: an object. Raises: nothing. Locks: none.
create or replace function async.settings_of(in_section text, in_row jsonb) returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $function$
  select coalesce(jsonb_object_agg(e.key, e.value), '{}')
  from jsonb_each(in_row) e
  join async.configuration_keys() k on k.out_section = in_section and k.out_key = e.key and k.out_kind <> 'ignored'
$function$;
