-- Purpose: a lexer that splits a text into statements and reads from each what decides how it is
--   sent. It knows comments (nested), strings, escape strings, dollar quotes, quoted identifiers
--   and parentheses. It reads the first 32 KiB. complete says whether that was the whole text.
-- Returns: one row for each statement, in order: its text without the semicolon, its first word,
--   the word of its action (behind a WITH list), whether the INTO of a SELECT and RETURNING are
--   outside of parentheses (in a query in parentheses, INTO counts inside them), and whether it is
--   a COPY from or to the client.
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
  -- As in the lexer of Postgres: characters outside of ASCII belong to names, and a string may
  -- continue on another line.
  c_blank constant text := '[ \t\n\r\f\v]';
  c_name constant text := '(?:[A-Za-z_]|[^\u0001-\u007f])(?:[A-Za-z0-9_]|[^\u0001-\u007f])*';
  c_dollar constant text := '^\$(?:' || c_name || ')?\$';
  c_word constant text := '^(?:[A-Za-z_]|[^\u0001-\u007f])(?:[A-Za-z0-9_$]|[^\u0001-\u007f])*';
  c_number constant text := '^[0-9]+(?:\.(?!\.)[0-9]*)?(?:[eE][+-]?[0-9]+)?';
  c_gap constant text := '(?:[ \t\f\v]|--[^\n\r]*)*[\n\r](?:[ \t\n\r\f\v]|--[^\n\r]*[\n\r])*''';
  c_escaped constant text := '(?:[^''\\]|\\.|'''')*''';
  c_escape_string constant text :=
    '^[eE]''' || c_escaped || '(?:' || c_gap || c_escaped || ')*(?!''|' || c_gap || ')';
  v_text constant text := left(in_query, c_prefix_chars_max);
  v_rest text := v_text;
  v_char text;
  v_token text;
  v_word text;
  v_last_word text := '';
  v_depth int := 0;
  v_nested int;
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
    v_char := left(v_rest, 1);
    if v_char = ';' and v_depth = 0 or v_char = '' then
      if first_word <> '' then
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
      v_length := 1;
      v_start := v_at + 1;
    elsif v_char ~ c_blank then
      v_length := length(substring(v_rest from '^' || c_blank || '+'));
    elsif left(v_rest, 2) = '--' then
      v_length := length(substring(v_rest from '^[^\n\r]*'));
    elsif left(v_rest, 2) = '/*' then
      v_nested := 1;
      v_length := 2;
      while v_nested > 0 and v_length < length(v_rest) loop
        v_token := substring(substr(v_rest, v_length + 1) from '/\*|\*/');
        if v_token is null then
          v_length := length(v_rest);
        else
          v_length := v_length + strpos(substr(v_rest, v_length + 1), v_token) + 1;
          v_nested := v_nested + case v_token when '/*' then 1 else -1 end;
        end if;
      end loop;
    elsif v_rest ~ '^[eE]''' then
      v_length := length(coalesce(substring(v_rest from c_escape_string), v_rest));
    elsif v_char = '''' then
      v_length := length(coalesce(substring(v_rest from '^''(?:[^'']|'''')*'''), v_rest));
    elsif v_char = '"' then
      v_length := length(coalesce(substring(v_rest from '^"(?:[^"]|"")*"'), v_rest));
      v_last_word := '"';
    elsif v_char = '$' and v_rest ~ c_dollar then
      v_token := substring(v_rest from c_dollar);
      v_length := strpos(substr(v_rest, length(v_token) + 1), v_token);
      v_length := case v_length when 0 then length(v_rest) else v_length - 1 + 2 * length(v_token) end;
    elsif v_char ~ c_word then
      v_token := substring(v_rest from c_word);
      v_length := length(v_token);
      v_word := lower(v_token);
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
      v_length := coalesce(length(substring(v_rest from c_number)), 1);
      v_depth := greatest(v_depth + case v_char when '(' then 1 when ')' then -1 else 0 end, 0);
      v_last_word := v_char;
      if first_word = '' then
        first_word := v_char;
        main_word := v_char;
      end if;
    end if;
    v_rest := substr(v_rest, v_length + 1);
    v_at := v_at + v_length;
  end loop;
end
$function$;
