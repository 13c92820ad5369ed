-- The state of the upkeep in its session.
create type async.upkeep_t as (
  -- When the pass over the history began; null: none is under way.
  pass_began timestamptz,
  -- The last task_id that the pass has looked at.
  after bigint,
  -- The rows at the end of the pass so far that entered too late to be old.
  young_rows bigint,
  -- The size of the next step of the history.
  rows int,
  -- Rows of async.task that were written since its last vacuum, and since that of the other tables.
  writes bigint,
  small_writes bigint,
  -- The statement that is due, and when the running one began.
  vacuum text,
  vacuum_began timestamptz,
  -- No vacuum before these times: of any table, and of the tables other than async.task.
  vacuum_after timestamptz,
  small_after timestamptz
);

-- They moved to the upkeep, or return something else now.
drop function if exists
  async.lead_maintain(timestamptz, bigint, bigint),
  async.delete_history(bigint, timestamptz, int),
  async.delete_tasks(bigint[], timestamptz, text),
  async.start_vacuum();
