-- Purpose: async.configure on a server. It checks first, then writes. A section that is missing or
--   null changes nothing. in_as_owner: true for the owner of the schema; only the owner may change
--   some settings. in_caller and in_scope: the role whose schedules these are, and its targets.
-- Returns: nothing. It wakes the leader.
-- Raises: PA060, PA084.
-- Locks: async.configuration_lock against other calls, and the rows that it changes, until the end of the
--   transaction.
create or replace function async.apply_configuration(
  in_caller name, in_scope async.scope_t, in_configuration jsonb, in_as_owner bool) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_control jsonb := coalesce(nullif(in_configuration -> 'control', 'null'), '{}');
  v_targets jsonb := nullif(in_configuration -> 'targets', 'null');
  v_pools jsonb := nullif(in_configuration -> 'concurrency_pools', 'null');
  v_policies jsonb := nullif(in_configuration -> 'retry_policies', 'null');
  v_schedules jsonb := nullif(in_configuration -> 'schedules', 'null');
  v_self text;
  v_key text;
begin
  if jsonb_typeof(in_configuration) is distinct from 'object' then
    perform async.refuse_configuration('the configuration', 'must be an object');
  end if;
  select k.key into v_key
  from jsonb_object_keys(in_configuration) as k(key)
  where k.key not in ('control', 'targets', 'concurrency_pools', 'retry_policies', 'schedules')
  order by k.key collate "C"
  limit 1;
  if v_key is not null then
    perform async.refuse_configuration(v_key,
      'is no section; the sections are control, targets, concurrency_pools, retry_policies and schedules');
  end if;
  lock table async.configuration_lock in exclusive mode;

  perform async.check_section('control', 'control', v_control);
  -- Keys that the leader writes are accepted and ignored, so that a row of async.control can be
  -- given back.
  v_control := jsonb_strip_nulls(v_control)
    - array(select k.out_key from async.configuration_keys() k
            where k.out_section = 'control' and k.out_kind = 'ignored');
  select coalesce(v_control ->> 'self_target', c.self_target) into v_self from async.control c;
  if v_targets is not null then
    perform async.check_entries('targets', 'target', v_targets);
  end if;
  if v_pools is not null then
    perform async.check_entries('concurrency_pools', 'concurrency_pool', v_pools);
  end if;
  if v_policies is not null then
    perform async.check_entries('retry_policies', 'retry_policy', v_policies);
  end if;
  if v_schedules is not null then
    perform async.check_entries('schedules', 'schedule', v_schedules);
  end if;
  if v_targets is not null then
    v_control := async.check_targets(v_targets, v_control, v_self);
  end if;
  if not in_as_owner then
    perform async.refuse_owner_settings(v_control);
    perform async.refuse_owner_strings(coalesce(v_targets, '[]'), v_self);
  end if;

  perform async.apply_control(v_control);
  if v_targets is not null then
    perform async.apply_targets(v_targets);
  end if;
  if v_pools is not null then
    perform async.apply_pools(v_pools);
  end if;
  if v_policies is not null then
    perform async.apply_retry_policies(v_policies);
  end if;
  perform async.check_default_retries(v_control, v_targets);
  if v_schedules is not null then
    perform async.apply_schedules(in_caller, in_scope, v_schedules);
  end if;
  perform async.wake_leader();
end
$function$;
