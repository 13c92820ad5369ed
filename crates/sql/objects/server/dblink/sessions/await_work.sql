-- Purpose: sleeps after a cycle without work, for twice the time since the last work. While queries
--   run, it polls their sessions every millisecond and returns when one has an answer, after
--   busy_sleep at the latest. While none runs, it sleeps for up to idle_sleep.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.await_work(in_last_did_stuff timestamptz)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_control async.control;
  v_now timestamptz := clock_timestamp();
  v_sleep interval := 2 * (v_now - in_last_did_stuff);
  v_conns text[];
begin
  select c.* into v_control from async.control c;
  v_conns := array(
    select s.conn from pg_temp.leader_worker s where s.state in ('running', 'cleaning', 'identifying')
    union all
    select h.conn from pg_temp.leader_helper h where h.state = 'busy');
  if cardinality(v_conns) = 0 then
    perform pg_sleep(greatest(0.001, least(extract(epoch from v_sleep)::float8, v_control.idle_sleep)));
    return;
  end if;
  v_sleep := least(v_sleep, v_control.busy_sleep * interval '1 second');
  loop
    perform pg_sleep(0.001);
    exit when clock_timestamp() >= v_now + v_sleep
      or exists (select from unnest(v_conns) c where public.dblink_is_busy(c) = 0);
  end loop;
end
$function$;
