-- Purpose: refuses connection strings of targets that only the owner may write. A string that is there
--   already is accepted, also when the entry does not name it. For roles other than the owner.
-- Returns: nothing.
-- Raises: PA084.
-- Locks: none.
create or replace function async.refuse_owner_strings(in_targets jsonb, in_self text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_entry record;
begin
  select e.place - 1 as position, async.owner_string_reason(e.value ->> 'connection_string') as reason into v_entry
  from jsonb_array_elements(in_targets) with ordinality as e(value, place)
  left join async.target t on t.target = e.value ->> 'target'
  -- The string of the server itself is a setting of control.
  where e.value ->> 'target' <> in_self
    and e.value ->> 'connection_string' is not null
    and e.value ->> 'connection_string' is distinct from t.connection_string
    and async.owner_string_reason(e.value ->> 'connection_string') is not null
  order by e.place
  limit 1;
  if found then
    raise exception 'targets[%].connection_string: %, so only the owner of the schema async may write it',
      v_entry.position, v_entry.reason
      using errcode = 'PA084', hint = 'Nothing was changed. Name a host, or configure as the owner.';
  end if;
end
$function$;
