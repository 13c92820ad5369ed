//! Retries of failed attempts, by the policy that a push copied.

use std::time::Duration;

use pgasync_tests::{Engine, RustEngine, SqlEngine};
use serde_json::{Value, json};

use super::fixture::{Fixture, SLOW, SOON};
use super::link::refused_conninfo;

/// A query whose first `failures` attempts fail with a division by zero. The numbers of a sequence
/// are not rolled back.
fn fails(failures: i32) -> String {
    format!("select 1 / case when nextval('tries') <= {failures} then 0 else 1 end")
}

/// A fixture whose target `there` has this policy, and whose engine does not lead yet.
async fn prepared<E: Engine>(policy: &Value) -> Fixture<E> {
    let fixture = Fixture::<E>::prepared().await;
    fixture.run_there("create sequence tries").await;
    let mut named = json!({ "retry_policy": "quick", "delay": "0.2 s", "backoff": 1, "jitter": 0 });
    let (Some(settings), Some(given)) = (named.as_object_mut(), policy.as_object()) else {
        panic!("settings are an object")
    };
    settings.extend(given.clone());
    fixture
        .configure(&json!({
            "retry_policies": [named],
            "targets": [
                fixture.there(&json!({ "default_retry": "quick" })),
                { "target": "pulled", "asynchronous_finish": true, "default_retry": "quick" },
            ],
            "control": { "takeover_grace": "0.2 s" },
        }))
        .await;
    fixture
}

async fn led<E: Engine>(policy: &Value) -> Fixture<E> {
    let mut fixture = prepared::<E>(policy).await;
    fixture.engine.lead().await;
    fixture
}

impl<E: Engine> Fixture<E> {
    /// The attempts that are noted, as number and status.
    async fn attempts(&self, id: i64) -> String {
        let sql = format!(
            "select string_agg(attempt || ' ' || status, ', ' order by ended, attempt)
             from async.attempt where task_id = {id}"
        );
        self.text(&sql).await.unwrap_or_default()
    }

    async fn tries(&self) -> i64 {
        self.number_there("select case when is_called then last_value else 0 end from tries").await
    }
}

async fn a_failed_task_is_retried_after_its_delay_until_it_succeeds<E: Engine>() {
    let fixture = led::<E>(&json!({ "sqlstates": ["22"], "max_attempts": 5 })).await;
    let id = fixture.push(&fails(2)).await;
    fixture.end_of(id).await.succeeded();
    assert_eq!(fixture.attempts(id).await, "1 FAILED, 2 FAILED, 3 FINISHED");
    assert_eq!(fixture.tries().await, 3);
    fixture.assert_holds("select attempt = 2 and run = 3 and eligible_when is null from async.task").await;
    fixture
        .assert_holds(
            "select bool_and(waited >= interval '0.2 s') and count(*) = 2 from (
             select began - lag(ended) over (order by attempt) as waited from async.attempt) a where waited is not null",
        )
        .await;
    fixture
        .assert_holds(
            "select bool_and(began is not null and ended >= began and run = attempt
               and (error like '22012: division by zero%') = (status = 'FAILED')) from async.attempt",
        )
        .await;
    fixture.wait_until_no_slot_is_taken().await;
}

async fn a_trigger_on_the_completion_fires_once_at_the_last_attempt<E: Engine>() {
    let fixture = led::<E>(&json!({ "sqlstates": ["22"] })).await;
    fixture.run("create table public.completions (task_id bigint, status text)").await;
    fixture
        .run(
            "create function public.complete() returns trigger language plpgsql as $f$ begin
               if new.processed is not null and new.tracked is distinct from false then
                 insert into public.completions values (new.task_id, new.finish_status);
               end if;
               return null; end $f$",
        )
        .await;
    fixture
        .run("create trigger complete after update on async.task for each row execute procedure public.complete()")
        .await;
    let id = fixture.push(&fails(1)).await;
    fixture.end_of(id).await.succeeded();
    fixture.assert_holds("select count(*) = 1 and bool_and(status = 'FINISHED') from public.completions").await;
    assert_eq!(fixture.attempts(id).await, "1 FAILED, 2 FINISHED");
    fixture.wait_until_no_slot_is_taken().await;
}

async fn a_task_whose_attempts_are_used_up_fails_and_a_restart_counts_anew<E: Engine>() {
    let fixture = led::<E>(&json!({ "sqlstates": ["22012"], "max_attempts": 2 })).await;
    let id = fixture.push(&fails(3)).await;
    let error = fixture.end_of(id).await.is("FAILED").expect("an error message");
    assert!(error.starts_with("22012: "), "{error}");
    assert_eq!(fixture.attempts(id).await, "1 FAILED, 2 FAILED");
    fixture.assert_holds("select count(*) = 1 and bool_and(attempt = 2) from async.v_dead_task").await;
    fixture.run("select async.restart_task(task_id) from async.v_dead_task").await;
    fixture.assert_holds("select count(*) = 0 from async.v_dead_task").await;
    fixture.end_of(id).await.succeeded();
    assert_eq!(fixture.attempts(id).await, "1 FAILED, 2 FAILED, 1 FAILED, 2 FINISHED");
    assert_eq!(fixture.tries().await, 4);
}

async fn other_errors_and_tasks_without_a_policy_are_not_retried<E: Engine>() {
    let fixture = led::<E>(&json!({ "sqlstates": ["transient", "23505"] })).await;
    let other = fixture.push(&fails(1)).await;
    fixture.end_of(other).await.is("FAILED");
    let plain = fixture.push_as("'select 1 / 0', 'SELF'").await;
    fixture.end_of(plain).await.is("FAILED");
    fixture.assert_holds(&format!("select attempt = 1 from async.task where task_id = {other}")).await;
    fixture
        .assert_holds(&format!("select attempt is null and retry is null from async.task where task_id = {plain}"))
        .await;
    assert_eq!(fixture.attempts(other).await, "1 FAILED");
    assert_eq!(fixture.attempts(plain).await, "");
    // A success at the first attempt is not noted.
    let first = fixture.push("select 1").await;
    fixture.end_of(first).await.succeeded();
    assert_eq!(fixture.attempts(first).await, "");
    fixture.assert_holds("select count(*) = 0 from async.v_dead_task").await;
}

async fn a_text_that_may_have_committed_in_part_is_retried_only_with_permission<E: Engine>() {
    let half = "insert into ledger (mark) values ('half'); commit; select 1 / 0";
    let fixture = led::<E>(&json!({ "sqlstates": ["any"] })).await;
    let careful = fixture.push(half).await;
    fixture.end_of(careful).await.is("FAILED");
    assert_eq!(fixture.target.marks("half").await, 1);
    let bold = json!({ "retry_policy": "quick", "may_run_twice": true });
    fixture.configure(&json!({ "retry_policies": [bold] })).await;
    let twice = fixture.push(half).await;
    fixture.end_of(twice).await.is("FAILED");
    assert_eq!(fixture.attempts(twice).await, "1 FAILED, 2 FAILED, 3 FAILED");
    assert_eq!(fixture.target.marks("half").await, 4);
}

async fn a_request_beats_a_retry<E: Engine>() {
    let fixture = led::<E>(&json!({ "sqlstates": ["any"], "delay": "1 hour" })).await;
    let running = fixture.push(SLOW).await;
    fixture.wait_until_it_runs(running).await;
    fixture.run(&format!("select async.cancel(array[{running}], 'no longer wanted')")).await;
    let error = fixture.end_within(running, SOON).await.is("CANCELED");
    assert_eq!(error.as_deref(), Some("no longer wanted"));
    fixture.assert_holds(&format!("select attempt = 0 from async.task where task_id = {running}")).await;
    assert_eq!(fixture.attempts(running).await, "1 CANCELED");
    // While it waits for its next attempt, it can be canceled and deferred.
    for (request, status) in
        [("async.cancel(array[{id}], 'enough')", "CANCELED"), ("async.defer(array[{id}], '0 s')", "FINISHED")]
    {
        fixture.run_there("alter sequence tries restart").await;
        let id = fixture.push(&fails(1)).await;
        fixture
            .wait_for(&format!("select attempt = 1 and consumed is null from async.task where task_id = {id}"))
            .await;
        fixture
            .wait_for(&format!(
                "select bool_or(reason like 'waits for attempt 2 of 3 at %') from async.v_why_waiting
                 where first_task_id = {id}"
            ))
            .await;
        fixture.run(&format!("select {}", request.replace("{id}", &id.to_string()))).await;
        fixture.end_within(id, SOON).await.is(status);
    }
    fixture.wait_until_no_slot_is_taken().await;
}

async fn each_attempt_has_its_own_timeout<E: Engine>() {
    let fixture = led::<E>(&json!({ "timeouts": true })).await;
    let slow = "select pg_sleep(case when nextval('tries') = 1 then 25 else 0 end)";
    let id = fixture.push_as(&format!("$q${slow}$q$, 'there', manual_timeout => '3 s'")).await;
    fixture.end_of(id).await.succeeded();
    assert_eq!(fixture.attempts(id).await, "1 TIMED_OUT, 2 FINISHED");
    fixture.assert_holds("select times_up >= consumed + interval '3 s' from async.task").await;
    fixture.wait_until_no_slot_is_taken().await;
}

/// Ends the session at the target that runs a query.
async fn end_session<E: Engine>(fixture: &Fixture<E>) {
    fixture
        .run(&format!(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{}' and state = 'active'
               and query like '%tries%' and application_name like 'pgasync/%'",
            fixture.target.name()
        ))
        .await;
}

async fn an_unknown_outcome_is_retried_only_with_permission<E: Engine>() {
    let slow = "select pg_sleep(case when nextval('tries') = 1 then 25 else 0 end)";
    for (may_run_twice, expected) in [(false, "1 FAILED"), (true, "1 FAILED, 2 FINISHED")] {
        let fixture = led::<E>(&json!({ "unknown": true, "may_run_twice": may_run_twice })).await;
        let id = fixture.push(slow).await;
        fixture.wait_until_it_runs(id).await;
        end_session(&fixture).await;
        let end = fixture.end_within(id, SOON).await;
        assert_eq!(fixture.attempts(id).await, expected, "{end:?}");
        fixture.assert_holds("select bool_or(error like '%outcome unknown%') from async.attempt").await;
        fixture.wait_until_no_slot_is_taken().await;
    }
}

async fn a_task_of_an_unreachable_target_is_retried_when_its_patience_is_over<E: Engine>() {
    let mut fixture = prepared::<E>(&json!({ "max_attempts": 20 })).await;
    let away = json!({ "target": "there", "connection_string": refused_conninfo() });
    fixture.configure(&json!({ "targets": [away], "control": { "target_patience": "0.3 s" } })).await;
    fixture.engine.lead().await;
    let id = fixture.push(&fails(0)).await;
    fixture.wait_for("select attempt >= 2 from async.task").await;
    let back = fixture.there(&json!({}));
    fixture.configure(&json!({ "targets": [back] })).await;
    fixture.end_of(id).await.succeeded();
    assert_eq!(fixture.tries().await, 1);
    fixture
        .assert_holds(
            "select bool_and(began is null and run = 0 and error like '%could not be reached%') and count(*) >= 2
             from async.attempt where status = 'FAILED'",
        )
        .await;
}

async fn a_failure_that_a_client_reports_is_retried_if_the_policy_says_so<E: Engine>() {
    let fixture = led::<E>(&json!({ "sqlstates": ["reported"], "max_attempts": 2 })).await;
    let pulled = fixture.push_as("null, 'pulled'").await;
    let take = "select count(*) from async.get_tasks('pulled')";
    assert_eq!(fixture.number(take).await, 1);
    fixture.run(&format!("select async.finish(array[{pulled}], 'FAILED', 'try again')")).await;
    assert_eq!(fixture.number(take).await, 1, "it is offered again");
    fixture.run(&format!("select async.finish(array[{pulled}], 'FAILED', 'enough')")).await;
    assert_eq!(fixture.end_of(pulled).await.is("FAILED").as_deref(), Some("enough"));
    assert_eq!(fixture.attempts(pulled).await, "1 FAILED, 2 FAILED");
    let waiting = fixture.push_as("null, 'pulled'").await;
    fixture.run(&format!("select async.finish(array[{waiting}], 'FAILED', 'not begun')")).await;
    assert_eq!(fixture.end_of(waiting).await.is("FAILED").as_deref(), Some("not begun"));
    assert_eq!(fixture.attempts(waiting).await, "", "no attempt was under way");
    fixture.wait_until_no_slot_is_taken().await;
}

async fn a_task_keeps_the_policy_that_its_push_copied<E: Engine>() {
    let mut fixture = prepared::<E>(&json!({ "sqlstates": ["22"] })).await;
    let id = fixture.push(&fails(1)).await;
    let removal = json!({ "retry_policies": [] });
    let refused = fixture.session().query("select async.configure($1)", &[&removal]).await.expect_err("it is in use");
    let message = refused.to_string();
    assert!(message.contains("retry_policies: lacks 'quick'"), "{message}");
    let there = fixture.there(&json!({ "default_retry": "none" }));
    let pulled = json!({ "target": "pulled", "default_retry": "none" });
    fixture.configure(&json!({ "retry_policies": [], "targets": [there, pulled] })).await;
    let plain = fixture.push("select 1 / 0").await;
    fixture.engine.lead().await;
    fixture.end_of(id).await.succeeded();
    fixture.end_of(plain).await.is("FAILED");
    assert_eq!(fixture.attempts(id).await, "1 FAILED, 2 FINISHED");
    assert_eq!(fixture.attempts(plain).await, "");
}

async fn the_option_retry_of_a_push_names_the_policy<E: Engine>() {
    let fixture = led::<E>(&json!({ "sqlstates": ["22"] })).await;
    let here = "select async.push('select 1 / 0', 'SELF', retry => 'quick')";
    let retried = fixture.id(here, &[]).await;
    fixture.end_of(retried).await.is("FAILED");
    assert_eq!(fixture.attempts(retried).await, "1 FAILED, 2 FAILED, 3 FAILED");
    let many = "select max(task_id) from async.push_many('[{\"query\": \"select 1 / 0\", \"target\": \"there\", \"retry\": \"none\"}]')";
    let plain = fixture.id(many, &[]).await;
    let by_default = fixture.id("select async.push($1, 'there')", &[&fails(1)]).await;
    let each = fixture.id("select async.push_each('select 1 / 0', array['SELF'], retry => 'quick')", &[]).await;
    fixture.end_of(plain).await.is("FAILED");
    assert_eq!(fixture.attempts(plain).await, "");
    fixture.end_of(by_default).await.succeeded();
    fixture.end_of(each).await.is("FAILED");
    assert_eq!(fixture.attempts(each).await, "1 FAILED, 2 FAILED, 3 FAILED");
    let unknown = "select async.push('select 1', 'there', retry => 'slow')";
    let refused = fixture.session().query(unknown, &[]).await.expect_err("there is no such policy");
    assert_eq!(refused.sqlstate(), Some("PA01I"), "{refused}");
    assert!(refused.to_string().contains("task 1: there is no retry policy 'slow'"), "{refused}");
}

async fn another_engine_goes_on_with_the_attempts<E: Engine>() {
    let mut fixture = prepared::<E>(&json!({ "sqlstates": ["22"], "max_attempts": 4, "delay": "1.5 s" })).await;
    fixture.engine.lead().await;
    let id = fixture.push(&fails(3)).await;
    fixture.wait_for("select attempt >= 1 from async.task").await;
    fixture.engine.terminate().await;
    let mut rust = RustEngine::attach(&fixture.database);
    rust.lead().await;
    fixture.wait_for("select attempt >= 2 from async.task").await;
    rust.terminate().await;
    let mut sql = SqlEngine::attach(&fixture.database);
    sql.lead().await;
    fixture.end_within(id, Duration::from_secs(40)).await.succeeded();
    assert_eq!(fixture.attempts(id).await, "1 FAILED, 2 FAILED, 3 FAILED, 4 FINISHED");
    assert_eq!(fixture.tries().await, 4);
    fixture.wait_until_no_slot_is_taken().await;
}

conformance!(
    a_failed_task_is_retried_after_its_delay_until_it_succeeds,
    a_trigger_on_the_completion_fires_once_at_the_last_attempt,
    a_task_whose_attempts_are_used_up_fails_and_a_restart_counts_anew,
    other_errors_and_tasks_without_a_policy_are_not_retried,
    a_text_that_may_have_committed_in_part_is_retried_only_with_permission,
    a_request_beats_a_retry,
    each_attempt_has_its_own_timeout,
    an_unknown_outcome_is_retried_only_with_permission,
    a_task_of_an_unreachable_target_is_retried_when_its_patience_is_over,
    a_failure_that_a_client_reports_is_retried_if_the_policy_says_so,
    a_task_keeps_the_policy_that_its_push_copied,
    the_option_retry_of_a_push_names_the_policy,
    another_engine_goes_on_with_the_attempts,
);
