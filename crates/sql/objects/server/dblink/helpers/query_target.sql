-- Purpose: runs in a helper session: sends a query to a target and waits for its answer, one row with
--   one text that is not null. dblink(connection, query) would not return when the target begins COPY or sends results
--   without end, and on Postgres 15 and older no cancel ends it.
-- Returns: the text.
-- Raises: 08006 when the query cannot be sent, or is not answered in time; 08P01 when the answer has
--   another shape; the error of the target. The connection must not be used after any of them.
-- Locks: none.
create or replace function async.query_target(in_conn text, in_query text)
returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_answer_max constant interval := '5 seconds';
  c_poll_seconds_max constant float8 := 0.01;
  v_until constant timestamptz := clock_timestamp() + c_answer_max;
  v_poll_seconds float8;
  v_answer text;
  v_rows bigint;
begin
  if public.dblink_send_query(in_conn, in_query) <> 1 then
    raise exception 'a query was not sent: %', public.dblink_error_message(in_conn) using errcode = 'connection_failure';
  end if;
  -- The row, and the empty result that ends the query.
  for v_expected in reverse 1..0 loop
    v_poll_seconds := 0.0005;
    while public.dblink_is_busy(in_conn) = 1 loop
      if clock_timestamp() >= v_until then
        raise exception 'a query was not answered within % seconds', extract(epoch from c_answer_max)
          using errcode = 'connection_failure';
      end if;
      perform pg_sleep(v_poll_seconds);
      v_poll_seconds := least(v_poll_seconds * 1.5, c_poll_seconds_max);
    end loop;
    select count(*), coalesce(max(r.v), v_answer) into v_rows, v_answer from public.dblink_get_result(in_conn) as r(v text);
    if v_rows <> v_expected or v_answer is null then
      raise exception 'the answer to a query has another shape than was expected' using errcode = 'protocol_violation';
    end if;
  end loop;
  return v_answer;
end
$function$;
