-- Purpose: the length of the first token of a text, for async.scan_statements, with whose search
--   path it runs. Without in_whole the text is a piece: a token that may continue behind its end has
--   the length of the piece.
-- Returns: a number of characters; 0 for an empty text.
-- Raises: nothing.
-- Locks: none.
create or replace function async.token_length(in_rest text, in_whole bool)
returns int
language plpgsql immutable
as $function$
declare
  -- As in the lexer of Postgres: characters outside of ASCII belong to names, and a string may
  -- continue on another line.
  c_name constant text := E'(?:[A-Za-z_]|[^\\u0001-\\u007f])(?:[A-Za-z0-9_]|[^\\u0001-\\u007f])*';
  c_dollar constant text := E'^\\$(?:' || c_name || E')?\\$';
  c_word constant text := E'^(?:[A-Za-z_]|[^\\u0001-\\u007f])(?:[A-Za-z0-9_$]|[^\\u0001-\\u007f])*';
  c_number constant text := E'^[0-9]+(?:\\.(?!\\.)[0-9]*)?(?:[eE][+-]?[0-9]+)?';
  c_gap constant text := E'(?:[ \\t\\f\\v]|--[^\\n\\r]*)*[\\n\\r](?:[ \\t\\n\\r\\f\\v]|--[^\\n\\r]*[\\n\\r])*''';
  c_escaped constant text := E'(?:[^''\\\\]|\\\\.|'''')*''';
  c_escape_string constant text :=
    '^[eE]''' || c_escaped || '(?:' || c_gap || c_escaped || ')*(?!''|' || c_gap || ')';
  v_char constant text := left(in_rest, 1);
  v_delimiter text;
  v_length int;
begin
  if strpos(E' \t\n\r\f\x0b', v_char) > 0 and v_char <> '' then
    return length(substring(in_rest from E'^[ \\t\\n\\r\\f\\v]+'));
  elsif left(in_rest, 2) = '--' then
    return length(substring(in_rest from E'^[^\\n\\r]*'));
  elsif left(in_rest, 2) = '/*' then
    return async.comment_length(in_rest);
  elsif lower(left(in_rest, 2)) = 'e''' then
    v_length := length(coalesce(substring(in_rest from c_escape_string), in_rest));
    return case
      when not in_whole
        and substr(in_rest, v_length + 1) ~ E'^(?:[ \\t\\n\\r\\f\\v]|--[^\\n\\r]*)*$' then length(in_rest)
      else v_length
    end;
  elsif v_char = '''' then
    return length(coalesce(substring(in_rest from '^''(?:[^'']|'''')*'''), in_rest));
  elsif v_char = '"' then
    return length(coalesce(substring(in_rest from '^"(?:[^"]|"")*"'), in_rest));
  elsif v_char = '$' then
    v_delimiter := substring(in_rest from c_dollar);
    if v_delimiter is null then
      return case when not in_whole and in_rest ~ (E'^\\$' || c_name || '$') then length(in_rest) else 1 end;
    end if;
    v_length := strpos(substr(in_rest, length(v_delimiter) + 1), v_delimiter);
    return case v_length when 0 then length(in_rest) else v_length - 1 + 2 * length(v_delimiter) end;
  elsif v_char ~ E'[A-Za-z_]|[^\\u0001-\\u007f]' then
    return length(substring(in_rest from c_word));
  elsif v_char ~ '[0-9]' then
    return length(substring(in_rest from c_number));
  end if;
  return length(v_char);
end
$function$;
