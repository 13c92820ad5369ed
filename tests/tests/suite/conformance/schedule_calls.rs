//! The calls that make and change schedules, and the configuration: owners, options, and what is refused.

use pgasync_pg::Session;
use pgasync_tests::Engine;
use serde_json::json;

use super::fixture::Fixture;

impl<E: Engine> Fixture<E> {
    /// A role of this test, as a client of the target `there`.
    pub(super) async fn client(&self, kind: &str) -> (String, Session) {
        let name = format!("{}_{kind}", self.name());
        let name = name[name.len().saturating_sub(60)..].to_owned();
        self.run(&format!("create role {name}; select async.grant_client('{name}', '{{there}}')")).await;
        let session = self.connect().await;
        session.batch_execute(&format!("set role {name}")).await.expect("the superuser may");
        (name, session)
    }
}

/// The SQLSTATE and the message of a refusal.
async fn refused(session: &Session, sql: &str) -> (String, String) {
    let error = session.batch_execute(sql).await.expect_err(sql);
    let refusal = error.server().expect("refused by the server");
    (refusal.sqlstate.to_owned(), refusal.message.to_owned())
}

async fn a_schedule_belongs_to_its_owner<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    let (one, first) = fixture.client("one").await;
    let (two, second) = fixture.client("two").await;
    let made = "select async.schedule('load', '@daily', 'select ''secret''', 'there', task_data => '{\"a\": 1}')";
    first.batch_execute(made).await.expect("granted");
    for (sql, code, says) in [
        (made, "PA0A2", format!("schedule 'load': the schedule belongs to the role {one}")),
        (
            "select async.unschedule('load')",
            "PA0A4",
            format!("schedule 'load': the schedule belongs to the role {one}"),
        ),
        ("select async.pause_schedule('load')", "PA0A4", String::new()),
        ("select async.resume_schedule('load')", "PA0A4", String::new()),
        ("select async.unschedule('lod')", "PA0A3", "schedule 'lod': there is no such schedule".to_owned()),
        ("select async.schedule('other', '@daily', 'select 1', 'self')", "PA082", String::new()),
        ("select * from async.schedule", "42501", String::new()),
    ] {
        let (found, message) = refused(&second, sql).await;
        assert_eq!(found, code, "{sql}: {message}");
        assert!(message.contains(&says), "{message}");
    }
    let shown =
        "select count(*)::int from async.v_schedule where query = 'select ''secret''' and task_data is not null";
    for (session, sees) in [(&first, 1), (&second, 0), (fixture.session(), 1)] {
        assert_eq!(session.query_one(shown, &[]).await.expect("granted").get::<_, i32>(0), sees);
    }
    fixture.run(&format!("select async.grant_admin('{two}')")).await;
    second.batch_execute("select async.pause_schedule('load')").await.expect("an administrator may");
    assert_eq!(second.query_one(shown, &[]).await.expect("granted").get::<_, i32>(0), 1);
    assert_eq!(refused(&second, made).await.0, "PA0A2");
    first.batch_execute(made).await.expect("its owner may replace it");
    first.batch_execute("select async.unschedule('load')").await.expect("its owner may remove it");
    // Its own schedule keeps a role from nothing.
    for (session, role) in [(first, one), (second, two)] {
        drop(session);
        fixture.run(&format!("drop owned by {role}; drop role {role}")).await;
    }
}

async fn what_cannot_be_is_refused_with_the_option_and_its_value<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    for (arguments, code, says) in [
        ("'n', '0 25 * * *', 'select 1', 'there'", "PA0A0", "0 25 * * *"),
        ("'n', '0 0 31 2 *', 'select 1', 'there'", "PA0A0", "0 0 31 2 *"),
        ("'n', null, 'select 1', 'there'", "PA0A0", "null"),
        ("' ', '@daily', 'select 1', 'there'", "PA0A1", "schedule.name: must not be empty"),
        ("null, '@daily', 'select 1', 'there'", "PA0A1", "schedule.name: must not be empty"),
        (
            "'n', '@daily', 'select 1', 'there', time_zone => 'Mars/Base'",
            "PA0A1",
            "schedule 'n'.time_zone: there is no time zone 'Mars/Base'",
        ),
        (
            "'n', '@daily', 'select 1', 'there', overlap => 'maybe'",
            "PA0A1",
            "schedule 'n'.overlap: must be one of skip, ",
        ),
        ("'n', '@daily', 'select 1', 'there', catch_up => 'some'", "PA0A1", "not 'some'"),
        (
            "'n', '@daily', 'select 1', 'there', catch_up => 'all'",
            "PA0A1",
            "schedule 'n'.catch_up: must not be all with overlap 'skip'",
        ),
        ("'n', '@daily', 'select 1', 'there', expires_after => '0'", "PA0A1", "schedule 'n'.expires_after: must be"),
        (
            "'n', '@daily', 'select 1', 'tag:'",
            "PA0A1",
            "schedule 'n'.target: must name a target or tag:NAME, not 'tag:'",
        ),
        ("'n', '@daily', 'select 1', null", "PA0A1", "schedule 'n'.target: "),
        ("'n', '@daily', 'select 1', 'nowhere'", "PA011", "schedule 'n': there is no target 'nowhere'"),
        ("'n', '@daily', null, 'there'", "PA014", "schedule 'n': it has no query"),
        (
            "'n', '@daily', 'select 1', 'there', retry => 'never'",
            "PA01I",
            "schedule 'n': there is no retry policy 'never'",
        ),
        ("'n', '@daily', 'select 1', 'there', timeout => '-1 s'", "PA016", "schedule 'n': its timeout"),
        (
            "'n', '@daily', 'select 1', 'there', source => repeat('x', 256)",
            "PA0A1",
            "schedule 'n'.source: is too long (256 bytes)",
        ),
        ("repeat('x', 256), '@daily', 'select 1', 'there'", "PA0A1", "schedule.name: is too long (256 bytes)"),
    ] {
        let (found, message) = fixture.refused(&format!("select async.schedule({arguments})")).await;
        assert_eq!(found, code, "{arguments}: {message}");
        assert!(message.contains(says), "{arguments}: {message}");
    }
    fixture.assert_holds("select count(*) = 0 from async.schedule").await;
}

async fn a_configuration_owns_the_schedules_that_it_made<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.schedule("mine", "'@daily', 'select 1', 'there'").await;
    let load = json!({
        "schedule": "load", "when": "every 1 hour", "query": "select 1", "target": "there", "priority": 3,
        "timeout": "5 minutes", "overlap": "allow_all",
    });
    let totals =
        json!({ "schedule": "totals", "when": "@daily", "query": "select 2", "target": "there", "paused": true });
    fixture.configure(&json!({ "schedules": [load, totals] })).await;
    fixture.miss("load", 1, "30 seconds").await;
    fixture.wait_for_tasks("load", 1).await;
    fixture
        .assert_holds("select priority = 3 and manual_timeout = '5 minutes' and query = 'select 1' from async.task")
        .await;
    for (sql, says) in [
        (
            "select async.schedule('load', '@daily', 'select 1', 'there')",
            "schedule 'load': async.configure has made this schedule",
        ),
        ("select async.unschedule('load')", "schedule 'load': async.configure has made this schedule"),
    ] {
        let (code, message) = fixture.refused(sql).await;
        assert_eq!((code.as_str(), message.as_str()), ("PA0A2", says));
    }
    // A key that is missing leaves the schedules alone, and so does a document that is refused.
    fixture.configure(&json!({ "control": { "workers": 6 } })).await;
    for (schedules, says) in [
        (json!([{ "schedule": "mine" }]), "schedules[0].when: is required"),
        (
            json!([{ "schedule": "mine", "when": "@daily", "query": "select 1", "target": "there" }]),
            "schedules[0]: the role ",
        ),
        (json!([{ "schedule": "new", "when": "@daily", "query": "select 1" }]), "schedules[0].target: is required"),
        (
            json!([load, { "schedule": "new", "when": "0 99 * * *", "query": "select 1", "target": "there" }]),
            "schedules[1].when: ",
        ),
        (json!([{ "schedule": "load", "target": "nowhere" }]), "schedules[0]: there is no target 'nowhere'"),
        (json!([{ "schedule": "load", "time_zone": "Mars" }]), "schedules[0].time_zone: there is no time zone 'Mars'"),
        (json!([{ "schedule": "load", "overlap": "maybe" }]), "schedules[0].overlap: must be one of skip, "),
        (json!([{ "schedule": "load" }, { "schedule": "load" }]), "schedules[1].schedule: 'load' is given twice"),
        (json!([{ "schedule": "load", "wen": 1 }]), "schedules[0].wen: is no setting"),
    ] {
        let document = json!({ "schedules": schedules });
        let (code, message) = fixture.refused(&format!("select async.configure($pgasync${document}$pgasync$)")).await;
        assert_eq!(code, "PA060", "{message}");
        assert!(message.starts_with(says), "{message}");
    }
    fixture
        .assert_holds("select array_agg(schedule || configured order by schedule) = '{loadtrue,minefalse,totalstrue}' from async.schedule")
        .await;
    // A setting that is left out keeps its value, and a row of the table can be given back.
    let rows =
        fixture.text("select jsonb_agg(to_jsonb(s)) from async.schedule s where configured").await.expect("rows");
    fixture
        .run(&format!("select async.configure(jsonb_build_object('schedules', $pgasync${rows}$pgasync$::jsonb))"))
        .await;
    fixture.configure(&json!({ "schedules": [{ "schedule": "load", "priority": 4 }] })).await;
    fixture
        .assert_holds(
            "select count(*) = 2 and bool_and(schedule = 'mine' or priority = 4 and timeout = '5 minutes'
               and last_fired is not null and next_time > now()) from async.schedule",
        )
        .await;
    fixture.configure(&json!({ "schedules": [] })).await;
    fixture.assert_holds("select array_agg(schedule) = '{mine}' from async.schedule").await;
}

conformance!(
    a_configuration_owns_the_schedules_that_it_made,
    a_schedule_belongs_to_its_owner,
    what_cannot_be_is_refused_with_the_option_and_its_value,
);
