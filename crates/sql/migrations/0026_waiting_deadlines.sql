-- The deadlines of unfinished tasks that run no query. A plain task is never in it, so it leaves no entries here
-- while an old snapshot is held. Two columns, so that no other index gives the order.
create index task_waiting_deadline on async.task (times_up, task_id)
  where (times_up is not null or yielded is not null) and processed is null
    and (consumed is null or yielded is not null or query is null);
