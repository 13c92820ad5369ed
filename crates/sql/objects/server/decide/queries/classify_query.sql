-- Purpose: decides how a query is sent. The first word decides about a text that is clearly one
--   statement. Other texts are scanned.
-- Returns: 'raw' (sent unchanged: statements that cannot run inside a function or return only a
--   tag), 'loop' (one statement that returns rows, read in a DO block), 'execute' (one statement
--   without rows, run in a DO block), 'script' (several statements in one DO block), 'refused'
--   (COPY from or to the client).
-- Raises: nothing.
-- Locks: none.
create or replace function async.classify_query(in_query text)
returns text
language plpgsql immutable
as $function$
declare
  v_body text := rtrim(in_query, E' \t\n\r\f\x0b;');
  v_word text := lower(substring(in_query from E'^[ \\t\\n\\r\\f\\v]*([[:alpha:]]+)'));
  v_statements int;
  v_wrappable bool;
  v_rows bool;
  v_refused bool;
  v_complete bool;
  v_last record;
begin
  if strpos(v_body, ';') = 0 then
    case
      when v_word in ('values', 'table', 'show', 'explain')
        or v_word = 'select' and strpos(lower(v_body), 'into') = 0 then
        return 'loop';
      when v_word in ('insert', 'update', 'delete') and strpos(lower(v_body), 'returning') = 0 then
        return 'execute';
      when v_word in ('call', 'do', 'vacuum', 'create', 'drop', 'alter', 'analyze', 'refresh', 'reindex') then
        return 'raw';
      else
        null;
    end case;
  end if;
  for v_last in select * from async.scan_statements(in_query) loop
    if v_last.first_word <> '' or v_last.place > 1 then
      v_statements := v_last.place;
    end if;
    v_complete := v_last.complete;
    v_refused := coalesce(v_refused, false) or v_last.copies_to_client;
    v_rows := coalesce(v_rows, false) or async.statement_returns_rows(v_last.main_word, v_last.has_returning);
    v_wrappable := coalesce(v_wrappable, true)
      and async.statement_is_wrappable(v_last.first_word, v_last.main_word, v_last.has_into);
  end loop;
  return case
    -- Only comments, or more of them than are read: dblink mistakes the answer to an empty query for a
    -- lost connection.
    when v_statements is null then 'execute'
    when v_refused then 'refused'
    when not v_wrappable then 'raw'
    when v_statements > 1 then case when v_rows and v_complete then 'script' else 'raw' end
    when not v_complete then 'execute'
    when v_rows then 'loop'
    else 'execute'
  end;
end
$function$;
