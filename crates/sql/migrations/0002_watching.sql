-- What operators ask besides: which targets are in trouble, and what ended lately.

-- Published by the leader about once a second: targets that cannot be reached. Not emptied when a leader is lost:
-- the views count it only while somebody leads, and the next leader begins anew.
create table async.target_outage (
  target text primary key,
  since timestamptz not null,
  -- What the last attempt said, without passwords.
  error text,
  -- When it is met again; null where the engine does not say.
  retry_at timestamptz
);

-- For counts of what ended lately, as task_entered is for what came: one entry for 32 pages. Measured, it costs a task
-- about a microsecond, once.
create index task_processed on async.task using brin (processed) with (pages_per_range = 32)
  where processed is not null;

-- Has more arguments now.
drop function if exists async.lead_publish(int, int[], text[], bigint[], timestamptz[], text[], int[]);
