-- Purpose: the result of a query may have been read and forgotten, since the stage that read it was
--   undone. libpq keeps the text of an error, without its SQLSTATE, until the next query is sent. So
--   the text tells whether the query failed, and a statement that raises it again in the same
--   session proves that the session outlived the error, and keeps the text there.
-- Returns: that statement; null when the query did not fail.
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
  v_text := regexp_replace(btrim(v_text, E' \n'), '^[^:\n]*: +', '');
  -- The frames that the wrapper of the query added.
  v_text := regexp_replace(v_text, '\n(CONTEXT:  )?PL/pgSQL function inline_code_block line 1 at [^\n]*', '', 'g');
  return format('do %L', format('begin raise exception using errcode = ''PA299'', message = %L; end',
    async.cut_text(v_text)));
end
$function$;
