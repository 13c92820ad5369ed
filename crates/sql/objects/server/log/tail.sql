-- Purpose: shows new lines of the log as notices until it is canceled.
-- Returns: nothing; it runs until it is canceled.
-- Raises: no error of class PA.
-- Locks: none. It commits once a second, so it holds no snapshot. (A procedure with a SET clause
--   cannot commit, so it sets the search_path in each transaction.)
create or replace procedure async.tail(_grep text default null, _limit int default 1000)
language plpgsql
as $procedure$
declare
  v_line async.server_log;
  v_last pg_catalog.int8;
begin
  loop
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    for v_line in select l.* from async.tail_once(v_last, _grep, _limit) l loop
      raise notice '% % %', v_line.happened, v_line.level, v_line.message;
      v_last := v_line.server_log;
    end loop;
    -- The log is empty: every line is new from here on.
    v_last := coalesce(v_last, 0);
    commit;
    perform pg_catalog.pg_sleep(1);
  end loop;
end
$procedure$;
