-- Purpose: async.schedule for the role that read in_ticket from async.caller.
-- Returns: as async.schedule.
-- Raises: as async.schedule; insufficient_privilege for a ticket that is not that of the caller.
-- Locks: as async.schedule.
create or replace function async.schedule_as(in_caller name, in_ticket bytea, in_options jsonb) returns timestamptz
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_scope constant async.scope_t := async.scope_of(in_caller, in_ticket, null);
  v_next timestamptz;
begin
  v_next := async.set_schedule(format('schedule %s', quote_literal(left(in_options ->> 'schedule', 100))), in_caller,
    v_scope, in_options, false, clock_timestamp());
  perform async.wake_leader();
  return v_next;
end
$function$;
