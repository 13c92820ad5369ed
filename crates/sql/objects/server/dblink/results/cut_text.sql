-- Purpose: cuts a text to 64 KiB, at a character boundary.
-- Returns: text.
-- Raises: nothing.
-- Locks: none.
create or replace function async.cut_text(in_text text)
returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_error_text_bytes_max constant int := 65536;
  v_text text := left(in_text, c_error_text_bytes_max);
begin
  while octet_length(v_text) > c_error_text_bytes_max loop
    v_text := left(v_text, greatest((length(v_text)::bigint * c_error_text_bytes_max
      / octet_length(v_text))::int - 1, 0));
  end loop;
  return v_text;
end
$function$;
