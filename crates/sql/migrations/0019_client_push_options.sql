-- The options of async.push. A task without them has nulls.
alter table async.task
  -- The task is not eligible before this time.
  add column run_at timestamptz
    constraint task_run_at_finite check (isfinite(run_at)),
  -- The deadline of the whole task: times_up is never later.
  add column expires_at timestamptz
    constraint task_expires_at_finite check (isfinite(expires_at)),
  -- At most one task with unique_key is unfinished, or waits for its first claim, at each target.
  add column unique_key text,
  add column unique_while text
    constraint task_unique_while_known check (unique_while in ('unfinished', 'waiting')),
  add constraint task_unique_key_says_while check ((unique_key is null) = (unique_while is null));

-- What an element of async.push_many has besides the members of async.task_push_t. A migration may add
-- attributes at the end.
create type async.push_options_t as (
  source text,
  run_at timestamptz,
  expires_at timestamptz,
  unique_key text,
  unique_while text,
  on_conflict text
);
