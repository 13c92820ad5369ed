-- A claim of the SQL engine: the task, its run before the claim, the worker that is to run it, and its place in the
-- queue.
create type async.claim_t as (
  task_id bigint,
  run int,
  worker int,
  pool text,
  target text,
  priority int,
  entered timestamptz,
  timeout interval
);

-- A session with a target, as a leader in another process registers it.
create type async.registration_t as (
  slot int,
  target text,
  connection_string text,
  role text,
  pid int,
  -- Times as the target wrote them: UTC, with microseconds.
  backend_start text,
  server_started text,
  server_address text,
  server_port int,
  system_identifier text,
  timeline int
);

-- Functions whose arguments differ now.
drop function if exists
  async.write_all(bigint[], int[], timestamptz[], interval[], bigint[], int[], timestamptz[], async.event_t[], bool,
    bool),
  async.write_claims(timestamptz, bigint[], int[], int[], text[], text[], int[], timestamptz[], interval[]),
  async.lead_publish(int, int[], text[], bigint[], timestamptz[], text[], int[], text[], timestamptz[], text[]);
