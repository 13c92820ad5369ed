-- Purpose: the error of a query as processing_error has it: SQLSTATE and message, then detail, hint
--   and context of the target, without the context lines that dblink adds, cut to 64 KiB.
-- Returns: text.
-- Raises: nothing.
-- Locks: none.
create or replace function async.describe_error(
  in_conn text, in_code text, in_message text, in_detail text, in_hint text, in_context text
) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_lines text[] := string_to_array(async.valid_text(in_context), E'\n');
  v_kept text[] := '{}';
  v_line text;
begin
  foreach v_line in array coalesce(v_lines, '{}') loop
    -- Before Postgres 13 the context line of dblink precedes those of the target. From 13 on it
    -- follows them.
    exit when v_line like 'SQL statement "select /* results of a session */%'
      or v_line like 'PL/pgSQL function async.read_results(%';
    continue when strpos(v_line, '"' || in_conn || '"') > 0
      or v_line like 'PL/pgSQL function inline_code_block line 1 at %';
    v_kept := v_kept || v_line;
  end loop;
  return async.cut_text(concat_ws(E'\n',
    format('%s: %s', in_code, async.valid_text(in_message)),
    'DETAIL: ' || nullif(async.valid_text(in_detail), ''),
    'HINT: ' || nullif(async.valid_text(in_hint), ''),
    'CONTEXT: ' || nullif(array_to_string(v_kept, E'\n'), '')));
end
$function$;
