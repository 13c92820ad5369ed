-- Purpose: a poll: reads the tasks that became READY since the last poll (async.lead_arrivals), and
--   those whose backoff has ended, and notes the fronts of their lanes. The setting pgasync.polled_to
--   has the snapshot of the last poll; without it, and after a very large number of arrivals, all lanes
--   are read. It is a setting, so the error of a stage undoes the poll.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.poll(in_now timestamptz, in_lanes bool)
returns void
language plpgsql
as $function$
declare
  c_arrivals_max constant int := 1000;
  -- The lanes of so many are read in about 40 ms.
  c_arrivals_of_lanes_max constant int := 50000;
  c_lanes_max constant int := 1000000;
  v_since constant text := case when in_lanes then '' else coalesce(current_setting('pgasync.polled_to', true), '') end;
  -- It precedes all reads. What becomes visible after it is an arrival of the next poll.
  v_polled constant text := async.poll_snapshot()::text;
  v_fronts async.lane_t[];
  v_arrivals bigint;
  v_set text;
begin
  if v_since <> '' then
    -- Tasks that wait for a time are promoted when it has come.
    select array_agg(row(a.pool, a.target, a.pullable, a.priority, a.entered, a.task_id - 1, null, null)::async.lane_t)
        filter (where a.eligible_when is null),
      count(*)
    into v_fronts, v_arrivals
    from async.lead_arrivals(v_since::txid_snapshot, c_arrivals_max + 1) a;
    if v_arrivals > c_arrivals_max then
      v_fronts := async.arrival_lanes(v_since::txid_snapshot, c_arrivals_of_lanes_max);
    end if;
  end if;
  if v_since = '' or v_arrivals > c_arrivals_max and v_fronts is null then
    v_fronts := array(select f from async.lane_fronts(false, '', '', c_lanes_max) f)
      || array(select f from async.lane_fronts(true, '', '', c_lanes_max) f);
  end if;
  if v_fronts is not null then
    perform async.note_fronts(v_fronts);
  end if;
  if exists (select from pg_temp.leader_backoff b where b.until <= in_now and b.out_of_lane) then
    perform async.return_to_lanes(in_now);
  end if;
  v_set := set_config('pgasync.polled_to', v_polled, false);
  if coalesce(current_setting('pgasync.polled', true), '') = '' then
    v_set := set_config('pgasync.polled', '1', false);
  end if;
end
$function$;
