-- Purpose: the DO statement of async.keep_query and async.receipt_query for a query whose rows are kept: it
--   runs the query, counts its rows, and keeps whole rows as JSON while they fit into in_bytes_max. It puts
--   what async.read_result reads into the setting pgasync.result of the transaction: an object with
--   row_count, truncated, rows (the array, in UTF-8, as base64, so that no session converts it) and error.
--   Every name is qualified, since the path is that of the role at the target.
-- Returns: text. A query that cannot be kept, because it was changed after the push, fails there.
-- Raises: nothing.
-- Locks: none.
-- (Longer than a screen: the text.)
create or replace function async.keep_block(in_query text, in_bytes_max int) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_block constant text := $text$declare
  pgasync_query constant pg_catalog.text := %s;
  pgasync_bytes_max constant pg_catalog.int4 := %s;
  -- The bytes of a database without an encoding are taken as they are.
  pgasync_encoding constant pg_catalog.text := case
    when pg_catalog.current_setting('server_encoding') operator(pg_catalog.=) 'SQL_ASCII' then 'SQL_ASCII'
    else 'UTF8' end;
  pgasync_row pg_catalog.record;
  pgasync_cursor pg_catalog.refcursor;
  pgasync_one pg_catalog.text;
  pgasync_rows pg_catalog.text[] := '{}';
  pgasync_bytes pg_catalog.int8 := 1;
  pgasync_count pg_catalog.int8 := 0;
  pgasync_keeps pg_catalog.bool := true;
  pgasync_error pg_catalog.text;
begin
  %s
  perform pg_catalog.set_config('pgasync.result', pg_catalog.json_build_object(
    'row_count', pgasync_count, 'truncated', not pgasync_keeps, 'error', pgasync_error,
    'rows', pg_catalog.translate(pg_catalog.encode(pg_catalog.convert_to(
      pg_catalog.concat('[', pg_catalog.array_to_string(pgasync_rows, ','), ']'), pgasync_encoding), 'base64'),
      pg_catalog.chr(10), ''))::pg_catalog.text, true);
end$text$;
  c_loop constant text := $text$for pgasync_row in execute pgasync_query loop
    pgasync_count := pgasync_count operator(pg_catalog.+) 1;
    if pgasync_keeps then
      begin
        pgasync_one := pg_catalog.to_jsonb(pgasync_row)::pg_catalog.text;
        pgasync_bytes := pgasync_bytes operator(pg_catalog.+) 1 operator(pg_catalog.+)
          pg_catalog.octet_length(pg_catalog.convert_to(pgasync_one, pgasync_encoding));
        if pgasync_bytes operator(pg_catalog.<=) pgasync_bytes_max then
          pgasync_rows := pg_catalog.array_append(pgasync_rows, pgasync_one);
        else
          pgasync_keeps := false;
        end if;
      exception when assert_failure or others then
        pgasync_keeps := false;
        pgasync_error := pg_catalog.regexp_replace(
          pg_catalog.format('row %s is no JSON: %s: %s', pgasync_count, sqlstate, pg_catalog.left(sqlerrm, 500)),
          '[^ -~]', '?', 'g');
      end;
    end if;
  end loop;$text$;
  c_execute constant text := $text$execute pgasync_query;
  get diagnostics pgasync_count = row_count;$text$;
  -- Opening the cursor fails before the query runs, if the query returns no rows.
  c_probe constant text := $text$begin
    open pgasync_cursor for execute pgasync_query;
    close pgasync_cursor;
  exception when invalid_cursor_definition then
    pgasync_keeps := false;
  end;
  if pgasync_keeps then
    %s
  else
    pgasync_keeps := true;
    %s
  end if;$text$;
begin
  return format('do %s',
    async.dollar_quote(format(c_block, async.dollar_quote(in_query), in_bytes_max,
      case (async.classify_kept(in_query)).kind
        when 'loop' then c_loop
        when 'execute' then c_execute
        else format(c_probe, c_loop, c_execute)
      end)));
end
$function$;
