-- The outages of targets, and an index for counts of tasks that ended lately.

-- The targets that cannot be reached. The leader publishes them about once a second. Rows of a lost leader stay: the
-- views use the table only while an orchestrator leads, and the next leader replaces the rows.
create table async.target_outage (
  target text primary key,
  since timestamptz not null,
  -- The error of the last attempt, without passwords.
  error text,
  -- The time of the next attempt to connect; null if the engine does not publish it.
  retry_at timestamptz
);

-- For counts of tasks that ended lately, as task_entered is for tasks that were pushed lately: one entry for 32 pages.
-- It costs a task about a microsecond, once (measured).
create index task_processed on async.task using brin (processed) with (pages_per_range = 32)
  where processed is not null;

-- This function has more arguments now.
drop function if exists async.lead_publish(int, int[], text[], bigint[], timestamptz[], text[], int[]);
