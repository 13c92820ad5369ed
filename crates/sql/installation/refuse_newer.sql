
-- An older file must not replace the objects of a newer schema.
do $refuse_newer$
declare
  v_version text;
  v_unknown text;
begin
  if to_regclass('async.migration') is null then
    return;
  end if;
  select string_agg(m.migration, ', ' order by m.migration) into v_unknown
  from async.migration m
  where m.migration <> all ('{@MIGRATIONS@}');
  select c.version into v_version from async.client_control c;
  if v_unknown is not null
    or string_to_array(substring(v_version from '^[0-9.]+'), '.')::int[] > string_to_array('@RELEASE@', '.')::int[]
  then
    raise exception 'the schema async is newer (version %) than this installation of pgasync @VERSION@', v_version
      using errcode = 'PA217',
        detail = 'This installation does not know the migrations: ' || coalesce(v_unknown, 'none') || '.',
        hint = 'Use the files or the program of the version of the schema, or of a later one. To go back, restore a dump. '
          'Nothing was changed.';
  end if;
end
$refuse_newer$;

