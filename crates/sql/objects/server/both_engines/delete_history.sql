-- Purpose: deletes one step of the history: finished tasks from before a time, in the order of
--   task_id, after a position.
-- Returns: the last position of the step; null at the end. Rows that cannot be deleted, because a
--   foreign key, trigger or deferred constraint of a user forbids it, stay.
-- Raises: nothing because of a single task.
-- Locks: the rows that it deletes.
create or replace function async.delete_history(in_after bigint, in_before timestamptz, in_rows int)
returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_ids bigint[];
  v_id bigint;
  v_left int := 0;
  v_error text;
  v_defer text;
begin
  v_ids := array(select t.task_id from async.task t where t.task_id > in_after order by t.task_id limit in_rows);
  if cardinality(v_ids) = 0 then
    return null;
  end if;
  v_defer := async.defer_constraints();
  begin
    perform async.delete_tasks(v_ids, in_before, v_defer);
  exception when assert_failure or others then
    foreach v_id in array v_ids loop
      begin
        perform async.delete_tasks(array[v_id], in_before, v_defer);
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
