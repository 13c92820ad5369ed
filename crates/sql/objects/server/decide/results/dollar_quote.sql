-- Purpose: a text as a literal that is hardly longer. quote_literal doubles each quote and backslash,
--   and twice so in a literal within a literal.
-- Returns: the literal, in dollar quotes whose tag does not occur in the text. A text that contains all
--   the tags that are tried is quoted by quote_literal.
-- Raises: nothing.
-- Locks: none.
create or replace function async.dollar_quote(in_text text) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_tags constant int := 8;
  v_tag text;
begin
  for i in 1..c_tags loop
    v_tag := '$pgasync' || i || '$';
    -- The dollar: the end of the text and the beginning of the tag behind it may be a tag, too.
    if strpos(in_text || '$', v_tag) = 0 then
      return v_tag || in_text || v_tag;
    end if;
  end loop;
  return quote_literal(in_text);
end
$function$;
