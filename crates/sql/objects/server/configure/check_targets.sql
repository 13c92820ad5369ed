-- Purpose: checks targets. Refuses contradictory settings, and a new target without a connection
--   string. Size and connection string in the entry of the self target are those of control.
-- Returns: in_control with the settings of that entry.
-- Raises: PA060.
-- Locks: none.
create or replace function async.check_targets(in_targets jsonb, in_control jsonb, in_self text) returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_control jsonb := in_control;
  v_entry record;
begin
  for v_entry in
    select format('targets[%s]', e.place - 1) as path, e.target, e.retired, e.max_concurrency, e.max_workers,
      e.connection_string, e.asynchronous_finish, t.target is not null as known
    from (
      select a.place, r.*
      from jsonb_array_elements(in_targets) with ordinality as a(value, place)
      cross join jsonb_to_record(a.value) as r(target text, retired bool, max_concurrency int, max_workers int,
        connection_string text, asynchronous_finish bool)
    ) e
    left join async.target t on t.target = e.target
    order by e.place
  loop
    if v_entry.max_workers <> v_entry.max_concurrency then
      perform async.refuse_configuration(v_entry.path || '.max_workers',
        format('is %s while max_concurrency, which means the same, is %s',
          v_entry.max_workers, v_entry.max_concurrency));
    end if;
    if v_entry.target = in_self then
      if v_entry.retired then
        perform async.refuse_configuration(v_entry.path || '.retired', 'the server itself cannot be retired');
      end if;
      v_control := async.merge_self_setting(v_control, 'self_concurrency',
        v_entry.path || case when v_entry.max_workers is null then '.max_concurrency' else '.max_workers' end,
        'positive int', to_jsonb(coalesce(v_entry.max_workers, v_entry.max_concurrency)));
      v_control := async.merge_self_setting(v_control, 'self_connection_string', v_entry.path || '.connection_string',
        'own connection string', to_jsonb(v_entry.connection_string));
    elsif not v_entry.known and v_entry.connection_string is null and v_entry.asynchronous_finish is not true then
      -- Clients may pull the tasks of a target that finishes asynchronously, so it needs no
      -- connection string.
      perform async.refuse_configuration(v_entry.path || '.connection_string', 'is required for a new target');
    end if;
  end loop;
  return v_control;
end
$function$;
