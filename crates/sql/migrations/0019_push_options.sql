-- The options of async.push on a server, and the tags of targets.

-- Tasks that wait for a time arrive as well: the leader learns the time.
drop index async.task_arrived;
create index task_arrived on async.task (arrived)
  where arrived is not null and consumed is null and processed is null and yielded is null;

-- The task that has a unique key. The run is zero until the first claim.
create unique index task_unique_key on async.task (target, unique_key)
  where unique_key is not null and processed is null and (unique_while = 'unfinished' or run = 0);

alter table async.target add column tags text[] not null default '{}'
  constraint target_tags_are_texts check (array_position(tags, null) is null);

-- Functions whose results differ now.
drop function if exists
  async.lead_rows(bigint[]),
  async.lead_heads(text[], text[], bool[], int[], int[], timestamptz[], bigint[]),
  async.lead_arrivals(txid_snapshot, int);
