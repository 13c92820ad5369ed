-- Purpose: decodes the percent-encoding in a part of a connection URI.
-- Returns: the decoded text; null for null.
-- Raises: PA001 for a % without two hexadecimal digits after it, for %00, and for bytes that are
--   not valid in the encoding of the database.
-- Locks: none.
create or replace function async.decode_percent(in_text text) returns text
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_bytes bytea := '';
  v_part text[];
begin
  if in_text is null or position('%' in in_text) = 0 then
    return in_text;
  end if;
  for v_part in select m.match from regexp_matches(in_text, '%([0-9A-Fa-f]{2})|([^%]+|%)', 'g') as m(match) loop
    if v_part[2] = '%' or v_part[1] = '00' then
      raise exception 'a connection URI holds a percent sign that encodes nothing'
        using errcode = 'PA001',
              hint = 'Write % as %25, and other special characters as % and two hexadecimal digits.';
    end if;
    v_bytes := v_bytes || coalesce(decode(v_part[1], 'hex'), convert_to(v_part[2], getdatabaseencoding()));
  end loop;
  return convert_from(v_bytes, getdatabaseencoding());
exception
  when character_not_in_repertoire or untranslatable_character then
    raise exception 'a connection URI holds encoded bytes that are no text in %', getdatabaseencoding()
      using errcode = 'PA001';
end
$function$;
