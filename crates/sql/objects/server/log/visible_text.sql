-- Purpose: escapes a text for the log. Names, messages and queries may contain line breaks and
--   escape sequences of terminals, which could forge lines or hide text.
-- Returns: the text in one line: control characters, line separators and marks that change the
--   direction of writing (Bidi_Control of Unicode) are escaped as in an E'' literal; null for null.
-- Raises: nothing.
-- Locks: none.
create or replace function async.visible_text(in_text text) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $function$
declare
  -- Characters above 127 have these numbers in UTF8 only.
  c_hidden constant text := E'\\u0001-\\u001f\\u007f' || case when getdatabaseencoding() = 'UTF8'
    then E'\\u0080-\\u009f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069' else '' end;
begin
  if in_text is null or in_text !~ ('[' || c_hidden || ']') then
    return in_text;
  end if;
  return (
    select string_agg(
      case
        when m.part[1] is not null then m.part[1]
        when m.part[2] = E'\n' then E'\\n'
        when m.part[2] = E'\r' then E'\\r'
        when m.part[2] = E'\t' then E'\\t'
        else E'\\u' || lpad(to_hex(ascii(m.part[2])), 4, '0')
      end, '' order by m.position)
    from regexp_matches(in_text, '([^' || c_hidden || ']+)|([' || c_hidden || '])', 'g')
      with ordinality as m(part, position));
end
$function$;
