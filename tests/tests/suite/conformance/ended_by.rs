//! `ended_by`: the role whose request ended a task, and null where no request did.

use pgasync_pg::Session;
use pgasync_tests::Engine;
use serde_json::json;

use super::clients::client_of;
use super::fixture::{Fixture, SLOW, SOON};

/// A role that logs in by itself, and its session. [`Login::drop_from`] drops it.
struct Login {
    name: String,
    session: Session,
}

impl Login {
    async fn client<E: Engine>(fixture: &Fixture<E>) -> Self {
        let name = format!("{}_ann", fixture.name());
        let name = name[name.len().saturating_sub(60)..].to_owned();
        fixture.run(&format!("create role {name} login; select async.grant_client('{name}')")).await;
        let conninfo = fixture.conninfo().replace("user=postgres", &format!("user={name}"));
        let settings = pgasync_pg::ConnectionSettings::resolve(&conninfo, |_| None).expect("it parses");
        Self { session: settings.connect().await.unwrap_or_else(|error| panic!("{error}")), name }
    }

    async fn run(&self, sql: &str) {
        self.session.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}\n{error:?}"));
    }

    async fn drop_from<E: Engine>(self, fixture: &Fixture<E>) {
        self.session.close().await;
        fixture.run(&format!("drop owned by {0}; drop role {0}", self.name)).await;
    }
}

impl<E: Engine> Fixture<E> {
    async fn ended_by(&self, id: i64) -> Option<String> {
        self.text(&format!("select ended_by from async.task where task_id = {id}")).await
    }
}

async fn a_cancel_and_a_finish_name_the_login_role_in_every_phase<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let pulled = json!({ "target": "pulled", "asynchronous_finish": true });
    let yields =
        json!({ "target": "yields", "connection_string": fixture.target.conninfo(), "asynchronous_finish": true });
    fixture.configure(&json!({ "targets": [fixture.there(&json!({ "max_workers": 2 })), pulled, yields] })).await;
    let ann = Login::client(&fixture).await;
    let running = fixture.push(SLOW).await;
    let finished = fixture.push(SLOW).await;
    fixture.wait_until(running, "RUNNING").await;
    fixture.wait_until(finished, "RUNNING").await;
    let waiting = fixture.push("select 1").await;
    let deferred = fixture.push_as("'select 1', 'there'").await;
    fixture.run(&format!("select async.defer(array[{deferred}], '1 hour')")).await;
    fixture.wait_for(&format!("select eligible_when is not null from async.task where task_id = {deferred}")).await;
    let yielded = fixture.push_as("'select 1', 'yields'").await;
    fixture.wait_until(yielded, "YIELDED").await;
    let taken = fixture.push_as("null, 'pulled'").await;
    fixture.wait_for("select count(*) = 1 from async.get_tasks('pulled')").await;
    ann.run(&format!(
        "select async.cancel(array[{running}, {waiting}, {deferred}, {yielded}]);
         select async.finish(array[{taken}], 'FAILED', 'could not');
         select async.finish(array[{finished}], 'FINISHED', null)"
    ))
    .await;
    for id in [running, waiting, deferred, yielded] {
        fixture.end_within(id, SOON).await.is("CANCELED");
        assert_eq!(fixture.ended_by(id).await.as_ref(), Some(&ann.name), "task {id}");
    }
    fixture.end_within(taken, SOON).await.is("FAILED");
    fixture.end_within(finished, SOON).await.is("FINISHED");
    assert_eq!(fixture.ended_by(taken).await.as_ref(), Some(&ann.name));
    assert_eq!(fixture.ended_by(finished).await.as_ref(), Some(&ann.name));
    fixture
        .assert_holds(&format!("select ended_by = '{}' from async.v_task where task_id = {running}", ann.name))
        .await;
    ann.drop_from(&fixture).await;
}

async fn an_end_without_a_request_names_no_role<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let ok = fixture.push("select 1").await;
    let error = fixture.push("select 1 / 0").await;
    let overdue = fixture.push_as("'select pg_sleep(25)', 'there', manual_timeout => '0.3 s'").await;
    fixture.end_of(ok).await.succeeded();
    fixture.end_of(error).await.is("FAILED");
    fixture.end_within(overdue, SOON).await.is("TIMED_OUT");
    // A cancel that came too late: the query committed before.
    fixture
        .run_there(
            "create procedure commits_and_hides() language plpgsql as $$ begin
               insert into ledger (mark) values ('committed'); commit;
               begin perform pg_sleep(25); exception when query_canceled then null; end; end $$",
        )
        .await;
    let late = fixture.push("call commits_and_hides()").await;
    fixture.wait_until_it_runs(late).await;
    fixture.run(&format!("select async.cancel(array[{late}])")).await;
    fixture.end_within(late, SOON).await.succeeded();
    for id in [ok, error, overdue, late] {
        assert_eq!(fixture.ended_by(id).await, None, "task {id}");
    }
}

async fn a_restart_clears_it_and_the_next_end_names_its_own_role<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let ann = Login::client(&fixture).await;
    let id = fixture.push(SLOW).await;
    fixture.wait_until_it_runs(id).await;
    ann.run(&format!("select async.cancel(array[{id}])")).await;
    fixture.end_within(id, SOON).await.is("CANCELED");
    assert_eq!(fixture.ended_by(id).await.as_ref(), Some(&ann.name));
    fixture.wait_for(&format!("select tracked is not true from async.task where task_id = {id}")).await;
    fixture.run(&format!("select async.restart_task({id})")).await;
    assert_eq!(fixture.ended_by(id).await, None);
    fixture.wait_until_it_runs(id).await;
    fixture.run(&format!("select async.finish(array[{id}], 'TIMED_OUT', 'long enough')")).await;
    fixture.end_within(id, SOON).await.is("TIMED_OUT");
    assert_eq!(fixture.ended_by(id).await.as_deref(), Some("postgres"));
    ann.drop_from(&fixture).await;
}

async fn the_cancel_of_a_task_that_waits_for_its_next_attempt_keeps_it<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture
        .configure(&json!({
            "retry_policies": [{ "retry_policy": "slow", "sqlstates": ["22"], "delay": "1 hour" }],
            "targets": [fixture.there(&json!({ "default_retry": "slow" }))],
        }))
        .await;
    let ann = Login::client(&fixture).await;
    let id = fixture.push("select 1 / 0").await;
    fixture.wait_for(&format!("select attempt = 1 from async.task where task_id = {id}")).await;
    ann.run(&format!("select async.cancel(array[{id}])")).await;
    fixture.end_within(id, SOON).await.is("CANCELED");
    assert_eq!(fixture.ended_by(id).await.as_ref(), Some(&ann.name));
    fixture
        .assert_holds("select count(*) = 1 and bool_and(ended_by is null and status = 'FAILED') from async.attempt")
        .await;
    let second = fixture.push(SLOW).await;
    fixture.wait_until_it_runs(second).await;
    ann.run(&format!("select async.cancel(array[{second}])")).await;
    fixture.end_within(second, SOON).await.is("CANCELED");
    fixture
        .assert_holds(&format!(
            "select count(*) = 1 and bool_and(ended_by = '{}' and status = 'CANCELED')
             from async.attempt where task_id = {second}",
            ann.name
        ))
        .await;
    ann.drop_from(&fixture).await;
}

async fn a_task_that_its_own_query_finishes_names_the_role_of_the_query<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let id =
        fixture.push_as("'select async.finish(array[##flow.TASK_ID##], ''FAILED'', ''found nothing'')', 'SELF'").await;
    fixture.end_within(id, SOON).await.is("FAILED");
    assert_eq!(fixture.ended_by(id).await.as_deref(), Some("postgres"));
}

async fn a_task_with_user_triggers_keeps_it<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture
        .run(
            "create function public.nothing() returns trigger language plpgsql as $f$ begin return null; end $f$;
             create trigger nothing after update on async.task for each row execute procedure public.nothing()",
        )
        .await;
    let ann = Login::client(&fixture).await;
    let id = fixture.push(SLOW).await;
    fixture.wait_until_it_runs(id).await;
    ann.run(&format!("select async.cancel(array[{id}])")).await;
    fixture.end_within(id, SOON).await.is("CANCELED");
    assert_eq!(fixture.ended_by(id).await.as_ref(), Some(&ann.name));
    ann.drop_from(&fixture).await;
}

/// The server sees the login of the client database, and no other role.
async fn a_forwarded_cancel_names_the_login_of_the_client_database<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let (scratch, client) = client_of(&fixture.database).await;
    let ann = Login::client(&fixture).await;
    client
        .batch_execute(&format!(
            "select async.server('{}'); select async.grant_client('{}')",
            fixture.conninfo().replace("user=postgres", &format!("user={}", ann.name)),
            ann.name
        ))
        .await
        .expect("the owner sets it");
    let running = fixture.push(SLOW).await;
    fixture.wait_until_it_runs(running).await;
    client.batch_execute(&format!("select async.cancel(array[{running}])")).await.expect("it is forwarded");
    fixture.end_within(running, SOON).await.is("CANCELED");
    assert_eq!(fixture.ended_by(running).await.as_ref(), Some(&ann.name), "the session here is one of postgres");
    client.batch_execute(&format!("drop owned by {}", ann.name)).await.expect("it is the owner");
    client.close().await;
    drop(scratch);
    ann.drop_from(&fixture).await;
}

conformance!(
    a_forwarded_cancel_names_the_login_of_the_client_database,
    a_cancel_and_a_finish_name_the_login_role_in_every_phase,
    an_end_without_a_request_names_no_role,
    a_restart_clears_it_and_the_next_end_names_its_own_role,
    the_cancel_of_a_task_that_waits_for_its_next_attempt_keeps_it,
    a_task_that_its_own_query_finishes_names_the_role_of_the_query,
    a_task_with_user_triggers_keeps_it,
);
