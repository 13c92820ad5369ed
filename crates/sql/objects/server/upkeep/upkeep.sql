-- Purpose: performs steps of the upkeep, each in a transaction of its own, for a few seconds. Either
--   engine calls it in a session to this server of its own, outside of its cycle, executes the VACUUM
--   of the answer, and calls it again.
-- Returns: the VACUUM that is due, null if none is, in a json value, so that dblink gets one column:
--   {"vacuum": text, "more": bool, "receipts": bool}; receipts: old ones are to be deleted at a target.
-- Raises: nothing because of a single task.
-- Locks: those of async.upkeep_step. (A procedure with a SET clause cannot commit, so it sets the
--   search_path in each transaction.)
create or replace procedure async.upkeep(in_writes bigint, inout io_answer json default null)
language plpgsql
as $procedure$
declare
  c_time_max constant interval := '3 seconds';
  v_until timestamp with time zone;
  v_began timestamp with time zone;
  v_writes bigint := in_writes;
  v_step record;
begin
  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  v_until := clock_timestamp() + c_time_max;
  loop
    v_began := clock_timestamp();
    v_step := async.upkeep_step(v_began, v_writes);
    perform async.wait_for_commit();
    commit;
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    exit when v_step.out_vacuum is not null or not v_step.out_more or clock_timestamp() >= v_until;
    -- As long as the step took, so that the rest of the server gets half of the time.
    perform pg_sleep(extract(epoch from clock_timestamp() - v_began));
    v_writes := 0;
  end loop;
  io_answer := json_build_object('vacuum', v_step.out_vacuum, 'more', v_step.out_more,
    'receipts', async.receipts_are_due(clock_timestamp()));
end
$procedure$;
