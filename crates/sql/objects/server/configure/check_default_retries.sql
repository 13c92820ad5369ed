-- Purpose: checks the names of the default policies, after a document was applied. Refuses a name
--   that no policy has, and the removal of a policy that is a default.
-- Returns: nothing.
-- Raises: PA060.
-- Locks: none.
create or replace function async.check_default_retries(in_control jsonb, in_targets jsonb) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_missing record;
begin
  select n.* into v_missing
  from (
    select 0 as place, c.default_retry as name, 'control.default_retry' as path,
      in_control ->> 'default_retry' is not null as is_given
    from async.control c
    union all
    select coalesce(e.place, 1000000000), t.default_retry,
      coalesce(format('targets[%s].default_retry', e.place - 1), format('the target %L', t.target)), e.place is not null
    from async.target t
    left join jsonb_array_elements(in_targets) with ordinality as e(value, place)
      on e.value ->> 'target' = t.target and e.value ->> 'default_retry' is not null
  ) n
  where n.name <> 'none'
    and not exists (select from async.retry_policy p where p.retry_policy = n.name)
  order by not n.is_given, n.place, n.path collate "C"
  limit 1;
  if not found then
    return;
  elsif v_missing.is_given then
    perform async.refuse_configuration(v_missing.path, format('there is no retry policy %L', v_missing.name));
  end if;
  perform async.refuse_configuration('retry_policies',
    format('lacks %L, which %s names', v_missing.name, v_missing.path));
end
$function$;
