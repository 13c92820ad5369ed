-- Purpose: makes the given list the schedules of the configuration: makes, replaces and removes
--   schedules. Those that async.schedule has made stay. A setting that is left out or null keeps its
--   value; for a new schedule it gets its default.
-- Returns: nothing.
-- Raises: PA060.
-- Locks: the rows that it changes, until the end of the transaction.
create or replace function async.apply_schedules(in_caller name, in_scope async.scope_t, in_schedules jsonb) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_now constant timestamptz := clock_timestamp();
  v_ignored constant text[] := array(
    select k.out_key from async.configuration_keys() k where k.out_section = 'schedule' and k.out_kind = 'ignored');
  v_entry record;
  v_options jsonb;
begin
  -- First, since their number is limited.
  delete from async.schedule s
  where s.configured
    and not exists (select from jsonb_array_elements(in_schedules) e where e.value ->> 'schedule' = s.schedule);
  for v_entry in
    select format('schedules[%s]', e.place - 1) as path, e.value ->> 'schedule' as name,
      (select jsonb_object_agg(o.key, o.value) from jsonb_each(e.value) o where o.value <> 'null') - v_ignored as given
    from jsonb_array_elements(in_schedules) with ordinality as e(value, place)
    order by e.place
  loop
    v_options := coalesce((select to_jsonb(s) from async.schedule s where s.schedule = v_entry.name and s.configured), '{}')
      || v_entry.given;
    if v_options ->> 'when' is null then
      perform async.refuse_configuration(v_entry.path || '.when', 'is required');
    elsif v_options ->> 'target' is null then
      perform async.refuse_configuration(v_entry.path || '.target', 'is required');
    elsif v_options ->> 'catch_up' = 'all' and coalesce(v_options ->> 'overlap', 'skip') not in ('buffer_all', 'allow_all')
    then
      perform async.refuse_configuration(v_entry.path || '.catch_up', 'must not be all, unless overlap is buffer_all or allow_all');
    end if;
    begin
      perform async.set_schedule(v_entry.path, in_caller, in_scope, v_options - v_ignored, true, v_now);
    exception when others then
      if sqlstate = 'PA0A0' then
        perform async.refuse_configuration(v_entry.path || '.when', sqlerrm);
      elsif sqlstate not like 'PA%' then
        raise;
      end if;
      raise exception '%', sqlerrm
        using errcode = 'PA060', hint = 'Nothing was changed. Mend the document and configure again.';
    end;
    perform async.set_paused(v_entry.name, (v_entry.given ->> 'paused')::bool, v_now)
    where v_entry.given ? 'paused';
  end loop;
end
$function$;
