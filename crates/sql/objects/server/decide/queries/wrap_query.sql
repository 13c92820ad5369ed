-- Purpose: the text that is sent for a query: unchanged, or inside a DO block that reads its rows
--   at the target one by one, so that neither side holds them in memory.
-- Returns: text.
-- Raises: nothing.
-- Locks: none.
create or replace function async.wrap_query(in_query text, in_kind text)
returns text
language plpgsql immutable
as $function$
declare
  c_loop constant text := 'for pgasync_row in execute %L loop end loop;';
  c_execute constant text := 'execute %L;';
  v_body text;
begin
  case in_kind
    when 'loop' then
      v_body := format(c_loop, in_query);
    when 'execute' then
      v_body := format(c_execute, in_query);
    when 'script' then
      select string_agg(
          format(
            case when async.statement_returns_rows(s.main_word, s.has_returning) then c_loop else c_execute end,
            s.statement),
          ' ' order by s.place)
      into v_body
      from async.scan_statements(in_query) s;
    else
      return in_query;
  end case;
  return format('do %L', format('declare pgasync_row record; begin %s end', v_body));
end
$function$;
