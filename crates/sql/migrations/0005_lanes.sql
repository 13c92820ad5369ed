-- A lane, the queue of a pool at a target, as async.plan_claims takes it.
create type async.lane_t as (
  pool text,
  target text,
  -- Whether its tasks have no query, and are offered to clients.
  pullable bool,
  -- The position in the queue's order behind which to look.
  after_priority int,
  after_entered timestamptz,
  after_id bigint,
  -- The pool's free slots.
  free int,
  -- How many of the lane may be taken at most; null: any number.
  heads_max int
);

-- Functions that bear other names now, or whose arguments or results do.
drop function if exists
  async.doubt_answers(text),
  async.doubt_everything(),
  async.doubt_launches(),
  async.doubtful_before(),
  async.drop_slot_session(int),
  async.empty_slots(int[]),
  async.fail_impatient(timestamptz),
  async.find_idle_sessions(text[]),
  async.free_lost_slots(bigint[]),
  async.intend(int, timestamptz, async.finish_status_t, text, interval),
  async.leader_write(timestamptz, bigint[], int[], interval[], bigint[], int[], async.event_t[]),
  async.left_alone(bigint),
  async.lose_slot(int),
  async.note_query_error(int, text, text),
  async.park(bigint, text, text, timestamptz),
  async.parked_tasks(timestamptz),
  async.plan_claims(text[], text[], bool[], int[], timestamptz[], bigint[], int[], int[], int, bigint[], timestamptz),
  async.present_conninfo(text),
  async.publish_state(int[], text[], bigint[], timestamptz[], text[], int[], int[], text[], timestamptz[], text[],
    timestamptz[]),
  async.refuse_strangers(text),
  async.register_session(int, text, text),
  async.settle_reset(int, bool, text, text),
  async.suspect_target(text, text),
  async.write_claims(timestamptz, bigint[], int[], int[], text[], text[], int[], timestamptz[], interval[]);
