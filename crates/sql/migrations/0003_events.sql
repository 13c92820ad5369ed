-- A transition travels as an event, which one writer applies (async.write_events).

create type async.event_t as (
  task_id bigint,
  -- The run that the row must be on; null: any.
  run int,
  -- What can happen to a task; async.step_task says what the row becomes:
  --   CLAIM        the leader takes the task, to launch its query
  --   GIVE_BACK    claimed, but never launched
  --   OFFER        the leader holds a pool slot for the client that pulls the task
  --   WITHDRAW     the offer is taken back
  --   TAKE         a client pulled the task
  --   END_OK       the query ended well
  --   END_ERROR    the query failed
  --   END_UNKNOWN  the query may have committed: its answer was lost
  --   UNREACHABLE  the time is up and the session cannot be reached: the slot stays taken
  --   REQUEST      finish, cancel, defer or pause while no query of the task runs
  --   DEADLINE     the time is up while no query of the task runs
  --   RESTART      a finished task starts anew
  --   PROMOTE      a deferral is over
  --   RELEASE      the slot of a finished task is free: its session is known to be gone
  event text,
  -- When it happened.
  at timestamptz,
  -- REQUEST: the request's; END_*: that of the intention that stood, null: none.
  status async.finish_status_t,
  -- The request's or the intention's.
  message text,
  -- END_ERROR: the query's error; END_UNKNOWN, UNREACHABLE: what is known.
  known text,
  duration interval,
  -- CLAIM, TAKE, OFFER, GIVE_BACK: what target or configuration allows; null: for ever.
  timeout interval,
  -- Requests that the event settles.
  requests bigint[]
);

-- Finished tasks that hold a slot, since their sessions are not known to be gone.
create index task_slot_kept on async.task (task_id) where processed is not null and tracked;

-- What the writer replaces, or what has other arguments now.
drop function if exists
  async.step_task(async.task, async.task_event_t, async.finish_status_t, text, interval, interval, timestamptz),
  async.due_tasks(timestamptz),
  async.end_error(async.task_event_t, async.finish_status_t, text, text),
  async.next_rows(timestamptz, bigint[], int[], async.task_event_t[], async.finish_status_t[], text[], interval[],
    interval[]),
  async.apply_batch(timestamptz, bigint[], int[], async.task_event_t[], async.finish_status_t[], text[], interval[],
    interval[]),
  async.apply_all(timestamptz, bigint[], int[], async.task_event_t[], async.finish_status_t[], text[], interval[],
    interval[]),
  async.apply_row(timestamptz, bigint, int, async.task_event_t, async.finish_status_t, text, interval, interval),
  async.apply_events(timestamptz, bigint[], int[], async.task_event_t[], async.finish_status_t[], text[], interval[],
    interval[]),
  async.withdraw_offers(bigint[]),
  async.promote_tasks(bigint[]),
  async.claimed_rows(bigint[]),
  async.take_offers(text, int, interval),
  async.park(bigint, text, text, timestamptz),
  async.lead_rotate_marks(bigint[]),
  async.lead_mark(bigint[], int[], bigint[]),
  async.lead_give_back(timestamptz, bigint[], int[]),
  async.lead_write(timestamptz, bigint[], int[], text[], text[], text[], interval[], interval[], bigint[], bigint[],
    bigint[]),
  async.lead_free_slots(bigint[], int[]),
  async.lead_offer(timestamptz, bigint[]),
  async.lead_heads(text[], text[], bool[], int[], bigint[]);
drop type async.task_event_t;
