//! Answers of targets that arrive in parts, or that the engine has read before an interruption. The
//! recorded outcome is the one that the target reported.

use std::time::Duration;

use pgasync_tests::{Engine, Proxy, Sent, SqlEngine};
use serde_json::json;

use super::fixture::Fixture;

/// A query, and what its error contains; `None` when it succeeds.
const QUERIES: [(&str, Option<&str>); 8] = [
    ("select 1", None),
    ("insert into ledger (mark) values ('one') returning mark", None),
    ("select 1; insert into ledger (mark) values ('two')", None),
    ("vacuum ledger", None),
    ("select 1/0", Some("division by zero")),
    ("insert into ledger (mark) values ('three'); select 1/0", Some("division by zero")),
    ("vacuum not_there", Some("not_there")),
    ("begin; select 1; commit; select 1/0", Some("division by zero")),
];

/// A query that ends its own session.
const ENDS_SESSION: &str = "select pg_terminate_backend(pg_backend_pid())";

/// Pushes each query `times` times, and compares the ends of the tasks.
async fn assert_outcomes<E: Engine>(fixture: &Fixture<E>, times: usize) {
    let mut pushed = Vec::new();
    for (query, error) in QUERIES.into_iter().cycle().take(QUERIES.len() * times) {
        pushed.push((fixture.push(query).await, query, error));
    }
    for (id, query, error) in pushed {
        let end = fixture.end_of(id).await;
        let is_right = match error {
            None => end.status == "FINISHED" && end.error.is_none(),
            Some(error) => {
                end.status == "FAILED"
                    && end.error.as_ref().is_some_and(|text| text.contains(error) && !text.contains("outcome unknown"))
            }
        };
        assert!(is_right, "{query}: {end:?}");
    }
}

/// A proxy or a slow network may send the rows of an answer and its end in separate packets.
async fn an_end_that_arrives_in_another_packet_changes_no_outcome<E: Engine>() {
    let mut fixture = Fixture::<E>::prepared().await;
    let proxy = Proxy::before(fixture.target.cluster(), |_: &Sent| String::new()).await;
    proxy.delay_ends(Duration::from_millis(15));
    let conninfo = proxy.conninfo(fixture.target.name());
    for reset in [true, false] {
        let there = json!({ "connection_string": conninfo, "session_reset": reset });
        fixture.configure(&json!({ "targets": [fixture.there(&there)] })).await;
        if reset {
            fixture.engine.lead().await;
        }
        assert_outcomes(&fixture, 3).await;
        let sessions = "select count(*) from pg_stat_activity where application_name like 'pgasync/%'
             and datname = current_database()";
        assert!(fixture.number_there(sessions).await <= 4, "sessions are used again");
    }
    fixture.wait_until_no_slot_is_taken().await;
}

conformance!(an_end_that_arrives_in_another_packet_changes_no_outcome);

/// A trigger on the memory of the leader interrupts the stage that reads results, as a cancel
/// would. The distance between two interruptions grows.
async fn results_that_an_interrupted_stage_has_read_are_recorded() {
    for first in [0, 1, 2] {
        let mut fixture = Fixture::<SqlEngine>::prepared().await;
        fixture
            .run(&format!(
                "create sequence public.changes;
                 create function public.interrupt() returns trigger language plpgsql as $$
                 begin
                   if mod(sqrt(nextval('public.changes') + {first})::numeric, 1) = 0 then raise exception 'interrupted on purpose'; end if;
                   return new;
                 end $$;
                 create procedure public.plant() language plpgsql as $$
                 begin
                   create trigger interrupts before update on pg_temp.leader_worker for each row
                   when (old.state = 'running' and new.state <> 'lost' and new.uncertain = old.uncertain) execute procedure public.interrupt();
                 end $$;
                 select async.push_routine('STARTUP', 'public.plant()')"
            ))
            .await;
        fixture.engine.lead().await;
        let mut ends = Vec::new();
        for _ in 0..6 {
            ends.push(fixture.push(ENDS_SESSION).await);
        }
        assert_outcomes(&fixture, 4).await;
        for id in ends {
            let error = fixture.end_of(id).await.is("FAILED");
            assert!(error.as_ref().is_some_and(|text| text.starts_with("outcome unknown")), "{error:?}");
        }
        fixture
            .assert_holds("select count(*) > 0 from async.server_log where message ~ 'interrupted on purpose'")
            .await;
        fixture.wait_until_no_slot_is_taken().await;
    }
}

mod sql_only {
    #[tokio::test]
    async fn results_that_an_interrupted_stage_has_read_are_recorded() {
        super::results_that_an_interrupted_stage_has_read_are_recorded().await;
    }
}
