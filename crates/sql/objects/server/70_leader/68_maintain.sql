-- Purpose: keeps history and log short, in bounded steps, and the queue vacuumed: a CALL that never returns reports
--   no statistics, so autovacuum does not see what the leader writes.
-- Returns: nothing.
-- Raises: nothing that has to do with single tasks.
-- Locks: the rows that it deletes.
create or replace function async.maintain(in_now timestamptz)
returns void
language plpgsql
as $function$
declare
  c_rows_per_step constant int := 5000;
  c_marks_max constant int := 50000;
  v_control async.control;
  v_state record;
  v_last bigint;
begin
  select c.* into v_control from async.control c;
  select l.* into v_state from pg_temp.leader_state l;

  if v_state.history_after is null
    and in_now > coalesce(v_control.last_heavy_maintenance, '-infinity') + v_control.heavy_maintenance_sleep then
    update async.control set last_heavy_maintenance = in_now;
    v_state.history_after := 0;
  end if;
  if v_state.history_after is not null then
    v_last := async.delete_history(v_state.history_after, in_now - v_control.task_keep_duration, c_rows_per_step);
    update pg_temp.leader_state set history_after = v_last, writes = writes + c_rows_per_step;
  end if;

  if in_now > coalesce(v_control.last_light_maintenance, '-infinity') + v_control.light_maintenance_sleep then
    update async.control set last_light_maintenance = in_now;
    delete from async.server_log l
    where l.server_log = any (array(
      select o.server_log from async.server_log o
      where o.happened < in_now - v_control.task_keep_duration
      order by o.happened, o.server_log
      limit c_rows_per_step));
    perform async.recount_pools();
    delete from pg_temp.leader_parked p where p.until < in_now - interval '5 minutes';
  end if;

  if v_state.marks > c_marks_max then
    perform async.rotate_marks();
  end if;
  if v_state.writes > 20000 and in_now > v_state.vacuum_at then
    perform async.start_vacuum();
  end if;
end
$function$;

-- Purpose: deletes one step of the history: finished tasks from before a time, behind a position by task_id.
-- Returns: the position that it came to; null at the end.
--   Rows that cannot be deleted, because a user's foreign key or trigger forbids it, are left.
-- Raises: nothing of a single task's.
-- Locks: the rows that it deletes.
create or replace function async.delete_history(in_after bigint, in_before timestamptz, in_rows int)
returns bigint
language plpgsql
as $function$
declare
  v_ids bigint[];
  v_id bigint;
  v_left int := 0;
  v_error text;
begin
  v_ids := array(select t.task_id from async.task t where t.task_id > in_after order by t.task_id limit in_rows);
  if cardinality(v_ids) = 0 then
    return null;
  end if;
  begin
    delete from async.task t
    where t.task_id = any (v_ids) and t.processed < in_before and t.tracked is not true;
  exception when assert_failure or others then
    foreach v_id in array v_ids loop
      begin
        delete from async.task t
        where t.task_id = v_id and t.processed < in_before and t.tracked is not true;
      exception when assert_failure or others then
        v_left := v_left + 1;
        v_error := coalesce(v_error, format('task %s: %s', v_id, sqlerrm));
      end;
    end loop;
    perform async.log_quiet('WARNING', format('%s tasks stay in the history, since they cannot be deleted; %s',
      v_left, v_error))
    where v_left > 0;
  end;
  return v_ids[cardinality(v_ids)];
end
$function$;
