-- Purpose: shows new lines of the log as notices for the time _for; without it, until it is canceled.
-- Returns: nothing.
-- Raises: PA072 when _for is negative.
-- Locks: none. It commits once a second, so it holds no snapshot. (A procedure with a SET clause
--   cannot commit, so it sets the search_path in each transaction.)
create or replace procedure async.tail(
  _grep text default null, _limit int default 1000, _for interval default null)
language plpgsql
as $procedure$
declare
  v_line async.server_log;
  v_last pg_catalog.int8;
  v_until pg_catalog.timestamptz;
begin
  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  if _for < interval '0' then
    raise exception '_for is %, and a time to wait is not negative', _for using errcode = 'PA072';
  end if;
  v_until := clock_timestamp() + _for;
  loop
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    for v_line in select l.* from async.tail_once(v_last, _grep, _limit) l loop
      raise notice '% % %', v_line.happened, v_line.level, v_line.message;
      v_last := v_line.server_log;
    end loop;
    -- The log is empty: every line is new from here on.
    v_last := coalesce(v_last, 0);
    exit when clock_timestamp() >= v_until;
    commit;
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    perform pg_sleep(least(1, extract(epoch from coalesce(v_until - clock_timestamp(), interval '1 second'))::float8));
  end loop;
end
$procedure$;
