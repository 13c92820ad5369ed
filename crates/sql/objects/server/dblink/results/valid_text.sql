-- Purpose: replaces the bytes of a text from dblink that are not valid in the encoding of the
--   database. A query may have changed its client_encoding, and stored texts must be readable.
-- Returns: text; null for null.
-- Raises: nothing.
-- Locks: none.
create or replace function async.valid_text(in_text text)
returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform convert_to(in_text, getdatabaseencoding());
  return in_text;
exception when character_not_in_repertoire or untranslatable_character then
  return replace(
    regexp_replace(encode(textsend(in_text), 'escape'), E'\\\\[0-7]{3}', '?', 'g'),
    E'\\\\\\\\', E'\\\\');
end
$function$;
