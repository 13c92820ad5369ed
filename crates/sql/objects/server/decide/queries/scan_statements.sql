-- Purpose: a lexer that splits a text into statements and reads from each what decides how it is
--   sent. It knows comments (nested), strings, escape strings, dollar quotes, quoted identifiers
--   and parentheses. It reads the first 32 KiB, and at most 4,000 tokens of them; complete says whether
--   that was the whole text. The leader waits for it, so its cost must grow with the length of the text
--   alone: it works on a short piece, and takes the whole rest only for a token that is longer.
-- Returns: one row for each statement, in order: its text without the semicolon, its first word,
--   the word of its action (behind a WITH list), whether the INTO of a SELECT and RETURNING are
--   outside of parentheses (in a query in parentheses, INTO counts inside them), and whether it is
--   a COPY from or to the client. The last row of a text that was not read to its end may be empty.
-- Raises: nothing.
-- Locks: none.
-- (Longer than a screen: one scanner, whose states share their variables.)
create or replace function async.scan_statements(in_query text)
returns table (
  place int, statement text, first_word text, main_word text, has_into bool, has_returning bool,
  copies_to_client bool, complete bool
)
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_prefix_chars_max constant int := 32768;
  c_tokens_max constant int := 4000;
  -- A token that ends this close to the end of the piece may go on behind it.
  c_piece_chars constant int := 1024;
  c_margin_chars constant int := 16;
  c_blank constant text := E'[ \\t\\n\\r\\f\\v]';
  c_word constant text := E'[A-Za-z_]|[^\\u0001-\\u007f]';
  v_text constant text := left(in_query, c_prefix_chars_max);
  -- The piece, and whether it is all of the rest.
  v_rest text := left(v_text, c_piece_chars);
  v_whole bool := length(v_text) <= c_piece_chars;
  v_tokens int := 0;
  v_char text;
  v_word text;
  v_last_word text := '';
  v_depth int := 0;
  v_start int := 1;
  v_at int := 1;
  v_length int;
begin
  place := 0;
  complete := length(in_query) <= c_prefix_chars_max;
  first_word := '';
  main_word := '';
  has_into := false;
  has_returning := false;
  copies_to_client := false;
  loop
    if not v_whole and length(v_rest) < c_piece_chars / 2 then
      v_rest := substr(v_text, v_at, c_piece_chars);
      v_whole := v_at + c_piece_chars > length(v_text);
    end if;
    v_char := left(v_rest, 1);
    v_length := async.token_length(v_rest, v_whole);
    if not v_whole and v_length > length(v_rest) - c_margin_chars then
      v_rest := substr(v_text, v_at);
      v_whole := true;
      v_length := async.token_length(v_rest, v_whole);
    end if;
    v_tokens := v_tokens + 1;
    if v_tokens > c_tokens_max then
      complete := false;
      v_char := '';
    end if;
    if v_char = ';' and v_depth = 0 or v_char = '' then
      if first_word <> '' or v_char = '' and not complete then
        place := place + 1;
        statement := substr(v_text, v_start, v_at - v_start);
        return next;
      end if;
      exit when v_char = '';
      first_word := '';
      main_word := '';
      has_into := false;
      has_returning := false;
      copies_to_client := false;
      v_last_word := '';
      v_start := v_at + 1;
    elsif v_char ~ c_blank or left(v_rest, 2) in ('--', '/*') then
      null;
    elsif v_char = '''' or lower(left(v_rest, 2)) = 'e''' or v_char = '$' and v_length > 1 then
      null;
    elsif v_char = '"' then
      v_last_word := '"';
    elsif v_char ~ c_word then
      v_word := lower(left(v_rest, v_length));
      if first_word = '' then
        first_word := v_word;
      end if;
      if v_depth = 0 then
        if main_word = ''
          and (first_word <> 'with'
            or v_word in ('select', 'insert', 'update', 'delete', 'merge', 'values', 'table')
              and v_last_word <> 'as')
        then
          main_word := v_word;
        end if;
        has_returning := has_returning or v_word = 'returning' and v_last_word not in ('as', '.');
        copies_to_client := copies_to_client or first_word = 'copy'
          and (v_last_word || ' ' || v_word) in ('from stdin', 'to stdout', 'from stdout', 'to stdin');
      end if;
      -- Behind AS and behind a dot the word is a name.
      has_into := has_into or v_word = 'into' and (v_depth = 0 or main_word = '(')
        and v_last_word not in ('insert', 'merge', 'as', '.');
      v_last_word := v_word;
    else
      -- Behind a WITH list a query may be in parentheses.
      if first_word = 'with' and main_word = '' and v_depth = 0 and v_char = '(' and v_last_word = ')' then
        main_word := v_char;
      end if;
      v_depth := greatest(v_depth + case v_char when '(' then 1 when ')' then -1 else 0 end, 0);
      v_last_word := v_char;
      if first_word = '' then
        first_word := v_char;
        main_word := v_char;
      end if;
    end if;
    v_rest := substr(v_rest, v_length + 1);
    v_at := v_at + v_length;
    if length(v_rest) > c_piece_chars then
      v_rest := left(v_rest, c_piece_chars);
      v_whole := false;
    end if;
  end loop;
end
$function$;
