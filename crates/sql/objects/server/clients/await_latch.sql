-- Purpose: async.wait_for_latch on a server: draws the next number and waits until the leader has
--   served it. Sequences are not transactional, so the call needs no commit.
-- Returns: nothing.
-- Raises: PA050 when no orchestrator leads, PA051 above READ COMMITTED.
-- Locks: none that others wait for.
create or replace function async.await_latch() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_pause_seconds_max constant float8 := 0.05;
  v_pause_seconds float8 := 0.001;
  v_mine bigint;
begin
  if current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
    raise exception 'a transaction that is % cannot see what the leader did meanwhile',
        current_setting('transaction_isolation')
      using errcode = 'PA051', hint = 'Wait for the latch at READ COMMITTED.';
  end if;
  v_mine := nextval('async.latch_requested');
  perform async.wake_leader();
  while (select s.last_value from async.latch_served s) < v_mine loop
    if not async.leader_exists() then
      raise exception 'no orchestrator is running'
        using errcode = 'PA050', hint = 'The owner of the schema starts one: call async.main(), or pgasync run.';
    end if;
    perform pg_sleep(v_pause_seconds);
    v_pause_seconds := least(v_pause_seconds * 2, c_pause_seconds_max);
  end loop;
end
$function$;
