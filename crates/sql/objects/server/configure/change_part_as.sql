-- Purpose: changes one entry of a list of the configuration, and leaves the others as they are, for the
--   role that read in_ticket from async.caller. It builds a document in which the others have no
--   settings, so every check of async.configure applies.
-- Returns: nothing. A running leader applies the change.
-- Raises: as async.configure, with the entry as the first of its list; insufficient_privilege for a
--   ticket that is not that of the caller.
-- Locks: as async.configure.
create or replace function async.change_part_as(
  in_caller name, in_ticket bytea, in_section text, in_name text, in_settings jsonb) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_scope constant async.scope_t := async.scope_of(in_caller, in_ticket, null);
  v_key constant text := case in_section when 'targets' then 'target' else 'concurrency_pool' end;
  v_entry jsonb;
  v_others jsonb;
begin
  if jsonb_typeof(in_settings) is distinct from 'object' then
    perform async.refuse_configuration(in_section || '[0]', 'must be an object');
  elsif in_settings ? v_key and in_settings ->> v_key is distinct from in_name then
    perform async.refuse_configuration(format('%s[0].%s', in_section, v_key), 'must be the name that the call gives, or be left out');
  end if;
  v_entry := in_settings || jsonb_build_object(v_key, in_name);
  -- Before the others are read: a call that waits here sees what the one before it wrote.
  lock table async.configuration_lock in exclusive mode;
  select coalesce(jsonb_agg(jsonb_build_object(v_key, o.name) order by o.name), '[]') into v_others
  from (
    select t.target as name from async.target t where in_section = 'targets' and not t.retired
    union all
    select p.concurrency_pool from async.concurrency_pool p where in_section = 'concurrency_pools' and not p.retired
  ) o
  where o.name is distinct from in_name;
  perform async.apply_configuration(in_caller, v_scope,
    jsonb_build_object(in_section, jsonb_build_array(v_entry) || v_others), async.is_owner(in_caller));
end
$function$;
