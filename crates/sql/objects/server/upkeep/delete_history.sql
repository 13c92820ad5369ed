-- Purpose: deletes one step of the history: finished tasks from before a time, in the order of
--   task_id, after a position. Rows that cannot be deleted, because a foreign key, trigger or
--   deferred constraint of a user forbids it, stay.
-- Returns: the last position of the step (null at the end of the table), the number of rows that it
--   deleted, and whether all rows of the step entered too late to be old.
-- Raises: nothing because of a single task.
-- Locks: the rows that it deletes.
create or replace function async.delete_history(
  in_after bigint, in_before timestamptz, in_rows int,
  out out_after bigint, out out_deleted int, out out_young bool
)
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
  out_deleted := 0;
  select
    case when count(*) = in_rows then max(r.task_id) end,
    coalesce(bool_and(r.entered >= in_before), true),
    array_agg(r.task_id order by r.task_id) filter (where r.processed < in_before and r.tracked is not true)
  into out_after, out_young, v_ids
  from (
    select t.task_id, t.entered, t.processed, t.tracked
    from async.task t
    where t.task_id > in_after
    order by t.task_id
    limit in_rows
  ) r;
  if v_ids is null then
    return;
  end if;
  v_defer := async.defer_constraints();
  begin
    out_deleted := async.delete_tasks(v_ids, in_before, v_defer);
  exception when assert_failure or others then
    foreach v_id in array v_ids loop
      begin
        out_deleted := out_deleted + async.delete_tasks(array[v_id], in_before, v_defer);
      exception when assert_failure or others then
        v_left := v_left + 1;
        v_error := coalesce(v_error, format('task %s: %s', v_id, sqlerrm));
      end;
    end loop;
    perform async.log_quiet('WARNING', format('%s tasks stay in the history, since they cannot be deleted; %s',
      v_left, v_error))
    where v_left > 0;
  end;
end
$function$;
