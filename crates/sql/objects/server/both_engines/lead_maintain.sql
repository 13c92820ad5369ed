-- Purpose: performs one bounded step of the maintenance of history and log, for either engine.
--   in_writes is the number of rows of async.task that were written since it was last vacuumed.
-- Returns: the position of the next step (null: none), the highest number of rows of async.task
--   that the step deleted, and whether async.task should be vacuumed.
-- Raises: nothing because of a single task.
-- Locks: the rows that it deletes.
create or replace function async.lead_maintain(
  in_now timestamptz, in_after bigint, in_writes bigint, out out_after bigint, out out_rows int, out out_vacuum bool
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_rows_per_step constant int := 5000;
  c_writes_min constant bigint := 20000;
  c_share constant float8 := 0.1;
  v_control async.control;
begin
  select c.* into v_control from async.control c;
  out_after := in_after;
  out_rows := 0;
  if out_after is null
    and in_now > coalesce(v_control.last_heavy_maintenance, '-infinity') + v_control.heavy_maintenance_sleep then
    update async.control set last_heavy_maintenance = in_now;
    out_after := 0;
  end if;
  if out_after is not null then
    out_after := async.delete_history(out_after, in_now - v_control.task_keep_duration, c_rows_per_step);
    out_rows := c_rows_per_step;
  end if;
  if in_now > coalesce(v_control.last_light_maintenance, '-infinity') + v_control.light_maintenance_sleep then
    update async.control set last_light_maintenance = in_now;
    delete from async.server_log l
    where l.server_log = any (array(
      select o.server_log from async.server_log o
      where o.happened < in_now - v_control.task_keep_duration
      order by o.happened, o.server_log
      limit c_rows_per_step));
  end if;
  out_vacuum := in_writes > c_writes_min and in_writes > c_share * (
    select c.reltuples from pg_catalog.pg_class c where c.oid = 'async.task'::regclass);
end
$function$;
