-- Purpose: decides what to vacuum. async.task: after a tenth of it was written, and at least 20,000
--   rows. The other tables: ten seconds after the first write. A CALL that never returns reports no
--   statistics, so autovacuum does not see what the SQL engine writes.
--   Vacuums take at most a fifth of the time: with a held snapshot they remove nothing.
-- Returns: the state with the statement in vacuum (null: nothing is due).
-- Raises: nothing.
-- Locks: none.
create or replace function async.plan_vacuum(in_state async.upkeep_t, in_now timestamptz, in_writes bigint)
returns async.upkeep_t
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_writes_min constant bigint := 20000;
  c_share constant float8 := 0.1;
  c_pause_min constant interval := '5 seconds';
  c_small_pause constant interval := '10 seconds';
  c_pause_per_time constant float8 := 4;
  -- A vacuum that gives pages back to the system takes a lock for which writers wait.
  c_options constant text := case when current_setting('server_version_num')::int >= 120000
    then 'analyze, truncate false, skip_locked' else 'analyze' end;
  v_state async.upkeep_t := in_state;
begin
  v_state.vacuum := null;
  v_state.writes := v_state.writes + in_writes;
  v_state.small_writes := v_state.small_writes + in_writes;
  if v_state.vacuum_began is not null then
    v_state.vacuum_after := in_now + greatest(c_pause_min, (in_now - v_state.vacuum_began) * c_pause_per_time);
    v_state.vacuum_began := null;
  end if;
  if in_now < v_state.vacuum_after then
    return v_state;
  end if;
  if v_state.writes > c_writes_min and v_state.writes > c_share * (
    select c.reltuples from pg_class c where c.oid = 'async.task'::regclass) then
    v_state.vacuum := format('vacuum (%s) async.task', c_options);
    v_state.writes := 0;
  elsif v_state.small_writes > 0 and in_now >= v_state.small_after then
    -- Those of the owner of async.task only: VACUUM warns about others.
    select format('vacuum (%s) %s', c_options, string_agg(c.oid::regclass::text, ', ' order by c.oid))
    into v_state.vacuum
    from pg_class c
    join pg_class t on t.oid = 'async.task'::regclass
    where c.relnamespace = t.relnamespace and c.relkind = 'r' and c.oid <> t.oid and c.relowner = t.relowner;
    v_state.small_writes := 0;
    v_state.small_after := in_now + c_small_pause;
  end if;
  if v_state.vacuum is not null then
    v_state.vacuum_began := in_now;
  end if;
  return v_state;
end
$function$;
