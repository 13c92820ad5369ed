-- The waiting tasks by the transaction that made them READY, so that a poll reads only the new ones.
create index task_arrived on async.task (arrived)
  where consumed is null and processed is null and yielded is null and eligible_when is null;

drop function if exists async.lead_heads(text[], text[], bool[], int[]);
