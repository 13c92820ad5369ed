-- Purpose: sets the connection string of the server, for the role that read in_ticket from
--   async.caller. async.server(text) calls it. For administrators.
-- Returns: nothing.
-- Raises: PA001 when the string cannot be used: it cannot be parsed, or its password is a mask or a
--   reference; PA084 when only the owner may write it; insufficient_privilege for a ticket that is
--   not that of the caller.
-- Locks: the row of client_control, until the end of the transaction.
create or replace function async.set_server_as(in_caller name, in_ticket bytea, in_connection_string text) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_reason text;
begin
  perform async.scope_of(in_caller, in_ticket, null);
  perform async.check_connection_string(in_connection_string);
  if async.references_secret(in_connection_string) then
    raise exception 'the password of the server must be no reference to a secret'
      using errcode = 'PA001', hint = 'References are for targets, which pgasync run reaches.';
  end if;
  v_reason := async.owner_string_reason(in_connection_string);
  if v_reason is not null and not async.is_owner(in_caller) then
    raise exception 'the connection string of the server: %, so only the owner of the schema async may write it', v_reason
      using errcode = 'PA084', hint = 'Nothing was changed. Name a host, or set it as the owner.';
  end if;
  update async.client_control set connection_string = in_connection_string;
end
$function$;
