-- Purpose: creates the memory of the SQL engine: temporary tables of its session. A rollback undoes
--   the changes to them, they write no WAL, and they end with the session.
-- Returns: nothing.
-- Raises: insufficient_privilege when the role may not create temporary tables.
-- Locks: none.
-- (Longer than a screen: a list of tables.)
create or replace function async.create_leader_state()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set client_min_messages = warning
as $function$
begin
  -- Nothing vacuums a temporary table. With a low fill factor the versions of one transaction fit on
  -- the page of their row, and the next transaction reuses their space. Otherwise rows move to new
  -- pages, and the table grows without end.
  drop table if exists pg_temp.leader_state, pg_temp.leader_worker, pg_temp.leader_pool, pg_temp.leader_lane,
    pg_temp.leader_target, pg_temp.leader_helper, pg_temp.leader_fence, pg_temp.leader_orphan,
    pg_temp.leader_backoff;

  -- One row.
  create temp table leader_state (
    epoch bigint not null,
    server_id text not null,
    self_conninfo text not null,
    -- The fingerprint of the schema at the start. The leader ends when it changes.
    fingerprint text not null,
    manual bool not null default false,
    -- The reason to stop: null (none), 'disabled', 'cancelled', ...
    stop text,
    -- Another orchestrator leads, so this one may write nothing.
    deposed bool not null default false,
    marks int not null default 0,
    led_since timestamptz not null default clock_timestamp(),
    -- A pool has a limit on starts.
    limits_starts bool not null default false,
    -- A target has receipts, or a task with one was found.
    receipts bool not null default false,
    -- Rows of async.task written since the upkeep was last told.
    writes bigint not null default 0,
    -- When the time is compensated for which targets blocked the leader (async.note_blocked_time).
    blocking_compensated_at timestamptz not null default '-infinity'
  ) with (fillfactor = 10);

  -- A worker runs one query at a time, over at most one session at one target.
  --
  --   state        means                              becomes
  --   empty        no session                         identifying (a session was opened)
  --   identifying  the identity query was sent        idle (registered), cleaning (registered while
  --                                                   a result is left), empty (failed)
  --   idle         a clean session                    claimed (a task was claimed), empty (dropped)
  --   claimed      the claim is committed             running (sent), ended (refused), lost (the
  --                                                   session was lost)
  --   running      the query, or the reset behind it  ended (its end is known), lost (session lost)
  --   ended        the end is not recorded yet        idle or cleaning (recorded), empty (recorded,
  --                                                   and dropped)
  --   cleaning     the reset was sent                 idle (clean), empty (failed)
  --   lost         the session may still run          ended (known to be gone)
  create temp table leader_worker (
    worker int primary key,
    conn text not null,
    state text not null default 'empty',
    since timestamptz not null default clock_timestamp(),
    target text,
    conninfo text,
    -- The connection string of the target when the session was opened.
    address text,
    session_id bigint,
    task_id bigint,
    run int,
    pool text,
    sent text,
    cleaning bool not null default false,
    -- The schema of dblink at the target, and whether the query that closes its connections was sent.
    dblink_schema text,
    connections_closed bool not null default false,
    -- The result of the text that was sent has been read, and the end of the text has not arrived
    -- yet.
    result_read bool not null default false,
    -- How many more results the session may send, and for how long the leader may receive more while it
    -- has results to read, before the session is ended.
    results_left int not null default 100,
    receiving_left interval not null default '1 second',
    -- A stage that read results was rolled back, so a result may have been read and lost.
    uncertain bool not null default false,
    -- Since when libpq reports the session as busy after an error: the end of the query may still
    -- arrive, or the connection is broken.
    broken_at timestamptz,
    outcome text,
    error text,
    -- What the target answered for a task whose rows are kept.
    result text,
    -- The task was recorded before the session was known to be gone.
    recorded bool not null default false,
    -- The session was lost and its host did not answer, so it does not count against the workers.
    unreachable bool not null default false,
    -- The session must not be used again, although the query succeeded.
    spent bool not null default false,
    intention async.finish_status_t,
    intention_error text,
    intention_duration interval,
    -- The role whose request it is.
    intention_by text,
    cancel_at timestamptz,
    cancels int not null default 0,
    request_ids bigint[] not null default '{}',
    retry_at timestamptz not null default '-infinity',
    tries int not null default 0,
    constraint leader_worker_state_is_known check (
      state in ('empty', 'identifying', 'idle', 'claimed', 'running', 'ended', 'cleaning', 'lost'))
  ) with (fillfactor = 10);

  create temp table leader_pool (
    pool text primary key,
    max_workers int not null,
    taken int not null default 0,
    -- The time between two starts, if it is limited, the last start, and whether a task was offered whose
    -- start has not been noticed.
    spacing interval,
    started_at timestamptz not null default '-infinity',
    offered bool not null default false,
    -- No task of it starts.
    paused bool not null default false,
    -- No offers before this time, after offers were withdrawn in favor of queries.
    offers_held_until timestamptz not null default '-infinity'
  ) with (fillfactor = 30);

  -- The lanes with waiting tasks.
  create temp table leader_lane (
    pool text not null,
    target text not null,
    pullable bool not null,
    -- All waiting tasks of the lane are behind this position, except those in backoff.
    after_priority int not null default -2147483648,
    after_entered timestamptz not null default '-infinity',
    after_id bigint not null default 0,
    -- No waiting task is known.
    exhausted bool not null default false,
    primary key (pool, target, pullable)
  ) with (fillfactor = 30);
  create index on pg_temp.leader_lane (after_priority, after_entered, after_id)
    where not exhausted;

  --   health   means                                becomes
  --   unknown  not reached yet, or not used lately  probing (a helper was sent), down (a session
  --                                                 failed)
  --   probing  a helper tries to reach it           ok (reached), down (not reached), unknown
  --                                                 (interrupted)
  --   ok       reached                              unknown (not used for a minute), down (a
  --                                                 session failed)
  --   down     not reached; its tasks wait          probing (retry_at has passed)
  create temp table leader_target (
    target text primary key,
    connection_string text,
    default_timeout interval,
    session_reset bool not null,
    max_concurrency int not null,
    max_sessions int,
    -- No task of it starts, and none fails because it is down.
    paused bool not null default false,
    configured bool not null default true,
    health text not null default 'unknown',
    fresh bool not null default true,
    version int,
    startup_options bool not null default true,
    failures int not null default 0,
    -- Of those the sessions that failed behind a probe that did not, since one was opened.
    session_failures int not null default 0,
    -- The last session that was opened has identified itself.
    identified bool not null default false,
    -- The last session took long to open; a query took long to send, or its results to
    -- read.
    connects_slowly bool not null default false,
    reads_slowly bool not null default false,
    down_since timestamptz,
    retry_at timestamptz not null default '-infinity',
    met_at timestamptz,
    last_error text,
    wanted int not null default 0,
    -- When a session was last moved here because tasks of other targets overtook those of this one, and how
    -- far, in the bounds of async.claim_tasks.
    session_moved_at timestamptz not null default '-infinity',
    overtaken_by float8 not null default 0,
    constraint leader_target_health_is_known check (health in ('unknown', 'probing', 'ok', 'down'))
  ) with (fillfactor = 10);

  -- Sessions to this server itself that perform actions that may block. lane: cancel, fresh (first
  -- contact), general.
  --
  --   state   means                        becomes
  --   closed  no session                   busy (opened, and an operation was sent)
  --   idle    a session that can be used   busy (an operation was sent), closed (interrupted)
  --   busy    an operation runs            idle (ended), stuck (late, or its answer came before its
  --                                        end), closed (lost)
  --   stuck   its answer does not count    idle (ended), closed (terminated)
  create temp table leader_helper (
    helper int primary key,
    conn text not null,
    pid int,
    lane text not null,
    state text not null default 'closed',
    op text,
    target text,
    ids bigint[],
    since timestamptz not null default clock_timestamp(),
    -- It is stuck, its backend does not end, and another helper takes its place.
    replaced bool not null default false,
    constraint leader_helper_state_is_known check (state in ('closed', 'idle', 'busy', 'stuck')),
    constraint leader_helper_lane_is_known check (lane in ('cancel', 'fresh', 'general'))
  ) with (fillfactor = 10);

  -- Sessions at targets that must be known to be gone: those of lost leaders, and those that were
  -- lost while a query ran.
  create temp table leader_fence (
    session_id bigint primary key,
    target text not null,
    retry_at timestamptz not null default '-infinity',
    failures int not null default 0,
    -- The host did not answer.
    unreachable bool not null default false,
    -- A session of a lost leader: nothing is launched at its target before it is gone.
    older bool not null default false
  ) with (fillfactor = 10);

  -- Tasks of lost leaders, until their target is fenced.
  create temp table leader_orphan (
    task_id bigint primary key,
    run int not null,
    target text not null,
    pool text not null,
    -- False: claimed and not sent, and the row could not be given back yet.
    launched bool not null,
    recorded bool not null default false,
    -- What the fence has found out about its receipt (async.resolve_receipts).
    resolved text,
    known text,
    result text
  ) with (fillfactor = 10);

  -- Tasks whose rows could not be written, with the time of the next attempt.
  create temp table leader_backoff (
    task_id bigint primary key,
    until timestamptz not null,
    failures int not null,
    -- The position of its lane may be behind the task, if it waits.
    out_of_lane bool not null default true
  ) with (fillfactor = 10);
end
$function$;
