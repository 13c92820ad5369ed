-- Purpose: writes the given settings of control, and applies them to the self target. A new self
--   target is a new row. The old one is retired, because tasks refer to it.
-- Returns: nothing.
-- Raises: PA060 when the new name of the self target is the name of another target.
-- Locks: the rows that it changes, until the end of the transaction.
create or replace function async.apply_control(in_control jsonb) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_old text := (select c.self_target from async.control c);
  v_new text := coalesce(in_control ->> 'self_target', v_old);
begin
  if v_new <> v_old and exists (select from async.target t where t.target = v_new and not t.retired) then
    perform async.refuse_configuration('control.self_target', format('%L is another target''s name', v_new));
  end if;

  update async.control c set
    enabled = n.enabled,
    workers = n.workers,
    idle_sleep = n.idle_sleep,
    heavy_maintenance_sleep = n.heavy_maintenance_sleep,
    task_keep_duration = n.task_keep_duration,
    default_timeout = n.default_timeout,
    advisory_mutex_id = n.advisory_mutex_id,
    self_target = n.self_target,
    self_connection_string = n.self_connection_string,
    self_concurrency = n.self_concurrency,
    paused = n.paused,
    busy_sleep = n.busy_sleep,
    light_maintenance_sleep = n.light_maintenance_sleep,
    default_concurrency_pool_workers = n.default_concurrency_pool_workers,
    startup_routines = n.startup_routines,
    loop_routines = n.loop_routines,
    debug_log = n.debug_log,
    target_patience = n.target_patience,
    takeover_grace = n.takeover_grace,
    default_retry = n.default_retry,
    result_bytes_max = n.result_bytes_max,
    receipt_keep = n.receipt_keep
  from async.control o, jsonb_populate_record(o, in_control) n
  where n.* is distinct from o.*;

  update async.target t set retired = true where t.target = v_old and v_new <> v_old;
  insert into async.target (target, max_concurrency, connection_string)
  select c.self_target, c.self_concurrency, c.self_connection_string
  from async.control c
  where not exists (select from async.target t where t.target = c.self_target);
  update async.target t set
    max_concurrency = c.self_concurrency,
    connection_string = c.self_connection_string,
    retired = false
  from async.control c
  where t.target = c.self_target
    and (t.max_concurrency, t.connection_string, t.retired)
      is distinct from (c.self_concurrency, c.self_connection_string, false);
end
$function$;
