-- Purpose: parses a connection string of the form "key = value key = 'quoted value'", as libpq
--   does.
-- Returns: an object of texts. The last value of a repeated key counts.
-- Raises: PA001 when libpq would refuse the form of the string. The error does not contain the
--   string, which may hold a password.
-- Locks: none.
create or replace function async.parse_conninfo_pairs(in_conninfo text) returns jsonb
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_rest text := ltrim(in_conninfo, E' \t\r\n\f\v');
  v_result jsonb := '{}';
  v_pair text[];
  v_value text;
begin
  while v_rest <> '' loop
    -- A value is quoted, with \ before a quote or a backslash, or it ends at the next space.
    v_pair := regexp_match(v_rest,
      E'^([A-Za-z_][A-Za-z0-9_]*)\\s*=\\s*(''(?:[^''\\\\]|\\\\.)*''|(?!'')(?:[^\\s\\\\]|\\\\.)*)\\\\?(.*)$');
    if v_pair is null then
      raise exception 'a connection string cannot be read after % of its settings',
          (select count(*) from jsonb_object_keys(v_result))
        using errcode = 'PA001',
              hint = 'Write key=value pairs separated by spaces (values with spaces in single quotes), or a URI '
                     'that starts with postgresql://.';
    end if;
    v_value := v_pair[2];
    if left(v_value, 1) = '''' then
      v_value := substr(v_value, 2, length(v_value) - 2);
    end if;
    v_result := v_result || jsonb_build_object(v_pair[1], regexp_replace(v_value, E'\\\\(.)', E'\\1', 'g'));
    v_rest := ltrim(v_pair[3], E' \t\r\n\f\v');
  end loop;
  return v_result;
end
$function$;
