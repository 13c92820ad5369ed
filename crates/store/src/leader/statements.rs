//! The statements of the leader session, prepared once.

use pgasync_pg::{Error, Session, Statement};

macro_rules! statements {
    ($($name:ident: $sql:expr),+ $(,)?) => {
        #[derive(Debug)]
        pub(super) struct Statements {
            $(pub(super) $name: Statement,)+
        }

        impl Statements {
            pub(super) async fn prepare(session: &Session) -> Result<Self, Error> {
                Ok(Self { $($name: session.prepare($sql).await?,)+ })
            }
        }
    };
}

statements! {
    begin: "begin",
    commit: "commit",
    wait_for_commit: "select async.wait_for_commit()",
    // The first statement of each transaction that writes. It fails when the epoch has passed.
    hold_epoch: "select from async.hold_epoch($1)",
    write: "select * from async.write_all($1, $2, $3, $4, $5, $6, $7, $8, true, true)",
    // The same write as a whole transaction, which holds the epoch itself.
    write_alone: "select * from async.write_all($1, $2, $3, $4, $5, $6, $7, $8, true, true, $9)",
    mark: "select * from async.lead_mark($1, $2, $3, $4)",
    rotate_marks: "select from async.lead_rotate_marks($1, $2, $3)",
    heads: "select * from async.lead_heads($1, $2, $3, $4, $5, $6, $7)",
    rows: "select * from async.lead_rows($1)",
    requests: "select request_id, task_id, status::text, error_message, duration, requested_by
        from async.request where request_id > $1 order by request_id limit $2",
    dismiss: "delete from async.request where request_id = any ($1)",
    sweep: "select * from async.lead_sweep($1, $2, $3)",
    // In the time of the server, since the clock of this process may be a little ahead.
    fire: "select async.fire_schedules(clock_timestamp()) as next",
    // The statement may run twice for a session, when the answer to the first run was lost.
    register: "select * from async.lead_register($1, $2)",
    unregister: "select from async.unregister_sessions($1)",
    lanes: "select * from async.discover_lanes()",
    arrivals: "select * from async.lead_arrivals($1::text::txid_snapshot, $2)",
    arrival_lanes: "select l.pool, l.target, l.pullable, l.after_priority as priority, l.after_entered as entered,
          l.after_id as task_id, l.pool is null as too_many
        from unnest(coalesce(async.arrival_lanes($1::text::txid_snapshot, $2),
          array[null::async.lane_t])) as l",
    changed_tasks: "select async.take_changed_tasks()",
    // Its snapshot is older than that of the arrivals, which are read after it. So the next poll may
    // read some of them again, and misses none.
    poll: "select txid_current_snapshot()::text as snapshot, c.enabled, l.resign_epoch, async.latch_number() as latch,
          exists (select from async.request) as has_requests, clock_timestamp() as now, async.schema_fingerprint() as fingerprint,
          concat_ws(' ', c.xmin, t.n, t.x, p.n, p.x) as configured,
          (select s.look_at from async.schedule s where s.look_at is not null order by s.look_at limit 1) as fires_at
        from async.control c
        cross join async.leader l
        cross join (select count(*) as n, sum(i.xmin::text::numeric) as x from async.target i) t
        cross join (select count(*) as n, sum(i.xmin::text::numeric) as x from async.concurrency_pool i) p",
    fall_asleep: "select out_before, out_open from async.fall_asleep($1)",
    await_writers: "select $1::bigint, async.writers_are_open($1)",
    // The commit is not waited for: a crash may undo it, and ends the session.
    wake_up: "select from (select set_config('synchronous_commit', 'off', true) offset 0) s
        cross join async.set_asleep($1, false)",
    left_offers: "select o.task_id from unnest($1::bigint[]) as o(task_id)
        where not exists (select from async.offer f where f.task_id = o.task_id)",
    routines: "select async.run_routines($1::text::async.routine_type_t)",
    serve_latch: "select from async.serve_latch($1)",
    publish: "select from async.lead_publish($1, $2, $3, $4)",
    publish_metrics: "select from async.lead_metrics($1, $2)",
    log: "select from async.log_quiet($1, $2)",
    goodbye: "select from async.lead_goodbye($1)",
}
