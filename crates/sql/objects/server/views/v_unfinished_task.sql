-- Every task that has not finished. A partial index with the same predicate serves each branch, so
-- the cost does not grow with the history. Each task is in exactly one branch.
create or replace view async.v_unfinished_task as
  select t.*
  from async.task t
  where async.waits_for_launch(t)
union all
  select t.*
  from async.task t
  where async.waits_for_offer(t)
union all
  -- Offered to clients, and not taken yet.
  select t.*
  from async.offer o
  cross join lateral (
    select l.*
    from async.task l
    where l.task_id = o.task_id
      and l.consumed is null and l.processed is null and l.yielded is null
      and l.eligible_when is null and l.query is null and l.tracked
    -- The offset prevents the planner from scanning all tasks.
    offset 0
  ) t
union all
  select t.*
  from async.task t
  where t.eligible_when is not null and t.processed is null
union all
  select t.*
  from async.task t
  where (t.times_up is not null or t.yielded is not null) and t.processed is null
    and t.eligible_when is null and (t.consumed is not null or t.yielded is not null);
