-- Purpose: async.configure for the role that read in_ticket from async.caller. in_may_be_owner:
--   whether the settings of the owner may be changed if that role is the owner.
-- Returns: nothing.
-- Raises: as async.configure; insufficient_privilege for a ticket that is not that of the caller.
-- Locks: as async.configure.
create or replace function async.configure_as(
  in_caller name, in_ticket bytea, in_configuration jsonb, in_may_be_owner bool) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_scope constant async.scope_t := async.scope_of(in_caller, in_ticket, null);
  v_as_owner bool;
begin
  v_as_owner := coalesce(in_may_be_owner, false) and async.is_owner(in_caller);
  if async.client_only() then
    perform async.forward(
      format('select async.configure_forwarded(%L::jsonb, %L::bool)::text', in_configuration, v_as_owner));
  elsif async.is_owner(in_caller) and not v_as_owner and jsonb_typeof(in_configuration -> 'schedules') <> 'null' then
    -- They would fire as the role that the client database connects as.
    raise exception 'schedules: an administrator of a client database cannot make schedules of the owner of the server'
      using errcode = 'PA084', hint = 'Leave them out, and configure them on the server.';
  else
    perform async.apply_configuration(in_caller, v_scope, in_configuration, v_as_owner);
  end if;
end
$function$;
