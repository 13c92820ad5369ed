-- Purpose: whether this session may still lead: stops it when the schema was replaced by another version, and takes the
--   locks again that a routine may have given up (pg_advisory_unlock_all()), unless another orchestrator has them.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the leader's advisory locks, where they were lost.
create or replace function async.check_lead()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  if async.schema_fingerprint() is distinct from current_setting('pgasync.fingerprint', true) then
    update pg_temp.leader_state l
    set stop = 'PA213: the schema async was replaced by another version; start the orchestrator anew'
    where l.stop is null;
  end if;
  if async.leader_pid() is distinct from pg_backend_pid() and not async.take_locks() then
    perform async.lose_lead();
  end if;
end
$function$;

-- Purpose: another orchestrator leads: this one writes nothing more, and ends.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.lose_lead()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  update pg_temp.leader_state set stop = 'another orchestrator has taken the lead', deposed = true;
end
$function$;

-- Purpose: what happens when a part of a cycle raises: it is logged, every ten seconds at most.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none that others wait for.
create or replace function async.note_failure(in_part text, in_error text, in_code text)
returns void
language plpgsql
as $function$
begin
  if async.is_due('logged_' || in_part, '10 seconds', clock_timestamp()) then
    perform async.log_quiet('ERROR', format('stage %s: %s (%s)', in_part, in_error, in_code));
  end if;
exception when assert_failure or others then
  null;
end
$function$;
