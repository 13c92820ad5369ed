-- Purpose: the sleep of a leader without work. First it falls asleep, so that pushes and requests
--   notify the watchdog session, and lets a cycle poll. While transactions are open that may have
--   found it awake, it sleeps briefly between the polls; after their end it polls once more. Only
--   then it sleeps until in_until, or until a notification arrives. The session setting
--   pgasync.writers has the transaction id below which those transactions are, or 'ended'; empty:
--   unknown.
-- Returns: whether the sleep goes on without a poll (it is interrupted twice a second, so that this
--   function holds no snapshot for long), and whether a notification has ended it.
-- Raises: PA212 when another orchestrator has taken the lead.
-- Locks: as async.fall_asleep.
-- (Longer than a screen: the states of the sleep, in order.)
create or replace function async.sleep_until(in_until timestamptz, out out_sleeps bool, out out_woken bool)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_pause constant float8 := 0.02;
  c_slice constant interval := '500 milliseconds';
  c_between_polls_max constant interval := '250 milliseconds';
  v_now constant timestamptz := clock_timestamp();
  v_until timestamptz := in_until;
  v_writers text := coalesce(current_setting('pgasync.writers', true), '');
  v_since interval;
  v_error text;
  v_slept record;
  v_awake bool;
begin
  out_sleeps := false;
  out_woken := false;
  if not async.session_is_alive('pgasync_watchdog') then
    v_error := async.open_watchdog();
    if v_error is not null then
      perform async.note_failure('listen', v_error, '08006');
      perform pg_sleep(extract(epoch from least(c_slice, in_until - v_now))::float8);
    end if;
    -- Notifications may have been lost.
    return;
  end if;
  -- The poll failed.
  if coalesce(current_setting('pgasync.polled', true), '') = '' then
    perform pg_sleep(c_pause);
    return;
  end if;

  if v_writers = '' or (select s.last_value = 0 from async.leader_sleep s) then
    select f.* into v_slept from pg_temp.leader_state l cross join lateral async.fall_asleep(l.epoch) f;
    if v_slept.out_before is null then
      perform pg_sleep(extract(epoch from least(c_slice, in_until - v_now))::float8);
      return;
    end if;
    perform set_config('pgasync.writers',
      case when v_slept.out_open then v_slept.out_before::text else 'ended' end, false);
    perform async.note_done('fell_asleep', v_now);
    return;
  end if;
  if v_writers <> 'ended' then
    if not async.writers_are_open(v_writers::bigint) then
      perform set_config('pgasync.writers', 'ended', false);
      return;
    end if;
    -- A transaction that is open for long is waited for in longer pauses.
    v_since := v_now - to_timestamp(current_setting('pgasync.fell_asleep')::float8);
    v_until := least(v_until, v_now + least(v_since / 2, c_between_polls_max));
  end if;

  v_until := least(v_until, v_now + c_slice);
  -- One statement and one sleep for each look: an idle leader is to use little CPU.
  for v_look in 1..greatest(ceil(extract(epoch from v_until - v_now) / c_pause)::int, 1) loop
    -- An expression, which needs no executor.
    v_awake := pg_sleep(c_pause) is not null;
    perform from public.dblink_get_notify('pgasync_watchdog'::text);
    if found then
      -- It may tell of a changed configuration.
      perform set_config('pgasync.' || w, '', false) from unnest('{configured,checked_targets}'::text[]) w;
      out_woken := true;
      return;
    end if;
  end loop;
  out_sleeps := v_writers = 'ended' and v_until < in_until;
  if v_writers = 'ended' then
    perform set_config('pgasync.idle', 'on', false);
  end if;
end
$function$;
