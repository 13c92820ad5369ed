-- Purpose: async.targets for the role that read in_ticket from async.caller, within in_within (null:
--   any).
-- Returns: as async.targets.
-- Raises: as async.targets; insufficient_privilege for a ticket that is not that of the caller.
-- Locks: none.
create or replace function async.targets_as(in_caller name, in_ticket bytea, in_tag text, in_within async.scope_t)
returns text[]
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_scope async.scope_t := async.scope_of(in_caller, in_ticket, in_within);
begin
  if async.client_only() then
    return (
      select array(select jsonb_array_elements_text(f.result::jsonb))
      from async.forward(format('select pg_catalog.to_jsonb(async.targets_forwarded(%L, %L::async.scope_t))::text',
        in_tag, v_scope)) as f(result));
  end if;
  return array(
    select t.target from async.target t
    where in_tag = any (t.tags) and not t.retired and async.may_use_target(v_scope, t.target)
    order by t.target collate "C");
end
$function$;
