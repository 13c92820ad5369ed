-- Purpose: reads the results of the query of a session without waiting: each result after
--   dblink_is_busy has reported it, until the empty result that ends the query. A call reads for a
--   limited time, because a target may send results without end.
-- Returns: ended: the end of the query, or an error after which the session must not be read again;
--   the first error with its SQLSTATE (null: none so far); the greatest value of the last result with
--   rows; how often the call has read; when it has read for as long as it may, the time that it waited
--   for dblink_is_busy, which receives what the target sends.
-- Raises: query_canceled when this session itself is canceled.
-- Locks: none.
create or replace function async.read_results(
  in_conn text, out ended bool, out code text, out error text, out value text, out results int,
  out receiving interval
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_results_max constant int := 1000;
  c_time_max constant interval := '20 milliseconds';
  v_until constant timestamptz := clock_timestamp() + c_time_max;
  v_began timestamptz;
  v_receiving interval := '0';
  v_rows bigint;
  v_empty bool;
  v_value text;
  v_next text;
  v_message text;
  v_detail text;
  v_hint text;
  v_context text;
  v_code text;
begin
  ended := false;
  results := 0;
  receiving := '0';
  loop
    v_began := clock_timestamp();
    exit when public.dblink_is_busy(in_conn) = 1;
    v_receiving := v_receiving + (clock_timestamp() - v_began);
    results := results + 1;
    begin
      -- One result and, if it has arrived, the next one, which usually is the empty one.
      select /* results of a session */
        count(*) filter (where r.place = 1), max(r.v) filter (where r.place = 1),
        coalesce(bool_and(not r.is_row) filter (where r.place = 2), false), max(r.v) filter (where r.place = 2)
      into v_rows, v_value, v_empty, v_next
      from (
        select 1 as place, f.v, true as is_row
        from public.dblink_get_result(in_conn) as f(v text)
        union all
        select 2, n.v, n.is_row is not null
        from (select in_conn as conn where public.dblink_is_busy(in_conn) = 0 offset 0) g
        left join lateral (select true as is_row, f.v from public.dblink_get_result(g.conn) as f(v text)) n on true
      ) r;
      if v_rows > 0 then
        value := coalesce(v_next, v_value);
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
        -- COPY from or to the client is neither a success nor an error for dblink, and libpq has no
        -- message about it.
        if v_code = '08006' and coalesce(public.dblink_error_message(in_conn), 'OK') = 'OK' then
          error := 'PA205: COPY from STDIN or to STDOUT has no client to talk to here; use a file, or insert ... select';
        end if;
      end if;
      -- During COPY libpq reports the same result for ever.
      if async.ends_session(v_code) then
        ended := true;
        return;
      end if;
    end;
    if results >= c_results_max or clock_timestamp() >= v_until then
      receiving := v_receiving;
      return;
    end if;
  end loop;
end
$function$;
