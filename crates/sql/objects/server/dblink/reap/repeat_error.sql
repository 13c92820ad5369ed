-- Purpose: builds a statement that raises the error of a query again, after the stage that read the
--   result was rolled back. libpq keeps the text of an error, without its SQLSTATE, until the next
--   query is sent. The text shows whether the query failed. The statement proves that the session
--   survived the error, and keeps the text.
-- Returns: the statement; null when the query did not fail.
-- Raises: nothing.
-- Locks: none.
create or replace function async.repeat_error(in_conn text)
returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_text text := async.valid_text(public.dblink_error_message(in_conn));
begin
  if coalesce(v_text, 'OK') = 'OK' then
    return null;
  end if;
  v_text := regexp_replace(btrim(v_text, E' \n'), E'^[^:\\n]*: +', '');
  -- The context lines of the wrapper around the query.
  v_text := regexp_replace(v_text, E'\\n(CONTEXT:  )?PL/pgSQL function inline_code_block line 1 at [^\\n]*', '', 'g');
  return format('do %L', format('begin raise exception using errcode = ''PX001'', message = %L; end',
    async.cut_text(v_text)));
end
$function$;
