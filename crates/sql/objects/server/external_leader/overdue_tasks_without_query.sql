-- Purpose: overdue tasks that run no query, and the time at which the next task is overdue or its
--   deferral ends.
-- Returns: the ids, and that time.
-- Raises: nothing.
-- Locks: none.
create or replace function async.overdue_tasks_without_query(
  in_now timestamptz, in_limit int, out out_overdue bigint[], out out_next timestamptz
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
as $function$
begin
  out_overdue := array(
    select t.task_id from async.task t
    where (t.times_up is not null or t.yielded is not null) and t.processed is null
      and t.times_up <= in_now
      and (t.consumed is null or t.yielded is not null or t.query is null)
    order by t.times_up, t.task_id
    limit in_limit);
  out_next := least(
    (select t.times_up from async.task t
     where (t.times_up is not null or t.yielded is not null) and t.processed is null
       and t.times_up > in_now and t.times_up < 'infinity'
       and (t.consumed is null or t.yielded is not null or t.query is null)
     order by t.times_up, t.task_id
     limit 1),
    (select t.eligible_when from async.task t
     where t.eligible_when is not null and t.processed is null
       -- As in async.deferred_tasks.
       and t.eligible_when > in_now and coalesce(t.consumed, t.yielded) is null
     order by t.eligible_when
     limit 1));
end
$function$;
