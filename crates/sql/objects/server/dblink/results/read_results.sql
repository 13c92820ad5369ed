-- Purpose: reads the results of the query of a session without waiting: each result after
--   dblink_is_busy has reported it, until the empty result that ends the query.
-- Returns: ended; the first error with its SQLSTATE (null: none so far); the greatest value of the
--   last result with rows.
-- Raises: query_canceled when this session itself is canceled.
-- Locks: none.
create or replace function async.read_results(
  in_conn text, out ended bool, out code text, out error text, out value text
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_rows bigint;
  v_empty bool;
  v_value text;
  v_message text;
  v_detail text;
  v_hint text;
  v_context text;
  v_code text;
begin
  ended := false;
  while public.dblink_is_busy(in_conn) = 0 loop
    begin
      -- One result and, if it has arrived, the next one, which usually is the empty one.
      select /* results of a session */
        count(*) filter (where r.place = 1), max(r.v) filter (where r.place = 1),
        coalesce(bool_and(not r.is_row) filter (where r.place = 2), false)
      into v_rows, v_value, v_empty
      from (
        select 1 as place, f.v, true as is_row
        from public.dblink_get_result(in_conn) as f(v text)
        union all
        select 2, n.v, n.is_row is not null
        from (select in_conn as conn where public.dblink_is_busy(in_conn) = 0 offset 0) g
        left join lateral (select true as is_row, f.v from public.dblink_get_result(g.conn) as f(v text)) n on true
      ) r;
      if v_rows > 0 then
        value := v_value;
      end if;
      if v_rows = 0 or v_empty then
        ended := true;
        return;
      end if;
    exception when query_canceled or assert_failure or others then
      get stacked diagnostics
        v_code = returned_sqlstate, v_message = message_text, v_detail = pg_exception_detail,
        v_hint = pg_exception_hint, v_context = pg_exception_context;
      -- "others" excludes two codes, which a query may raise as well. The context of a cancel of
      -- this session itself does not name the connection.
      if v_code = '57014' and strpos(v_context, '"' || in_conn || '"') = 0 then
        raise;
      end if;
      -- This side refuses a result of more than one column, after the query has succeeded.
      if not (v_code = '42804' and strpos(v_context, '"' || in_conn || '"') = 0) and code is null then
        code := v_code;
        error := async.describe_error(in_conn, v_code, v_message, v_detail, v_hint, v_context);
      end if;
    end;
  end loop;
end
$function$;
