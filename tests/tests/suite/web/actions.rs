//! Actions: the question, the form, the report, and what the server has then.

use pgasync_tests::{Engine, RustEngine};

use super::fixture::{dashboard, server};
use super::html;
use super::http::{Answer, Visitor, hidden};

/// Answers the question on a page, and returns the text of the report when it is complete.
fn confirm(visitor: &Visitor, asked: &Answer, fields: &[(&str, &str)]) -> String {
    assert_eq!(asked.status, 200, "{asked:#?}");
    html::read(&asked.body);
    let question = hidden(&asked.body, "question");
    let mut all = vec![("question", question.as_str())];
    all.extend_from_slice(fields);
    let answer = visitor.submit("/tasks", "/tasks/change", &all);
    let report = answer.leads_to().to_owned();
    // A second click finds the question answered.
    assert_eq!(visitor.submit("/tasks", "/tasks/change", &all).status, 409);
    loop {
        let text = html::read(&visitor.page(&report)).text;
        if !text.contains(" so far") {
            return text;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

#[tokio::test]
async fn all_tasks_of_a_filter_are_cancelled_and_no_other() {
    let (database, _target) = server().await;
    database
        .run(
            "update async.control set paused = true;
             insert into async.task (target, query, source)
             select 'there', 'select ' || i, case when i <= 1500 then 'nightly' else 'other' end from generate_series(1, 1503) i;
             select async.push_tasks(array[async.task('select 0', 'there')], 'DOA', 'nightly');",
        )
        .await;
    let dashboard = dashboard(&database).await;
    let visitor = dashboard.visitor();
    let page = visitor.page("/tasks?source=nightly");
    let filter = hidden_of_act(&page);
    let asked = visitor.submit("/tasks?source=nightly", "/ask/tasks?action=cancel&all=1", &[("filter", &filter)]);
    let text = html::read(&asked.body).text;
    assert!(text.contains("Cancel 1,500 tasks?") && text.contains("1,500 ready"), "{text}");

    // The ids are fixed with the question.
    database.run("insert into async.task (target, query, source) values ('there', 'select 1', 'nightly')").await;
    database.run("delete from async.task where task_id = 7").await;
    let text = confirm(&visitor, &asked, &[("message", "wrong data")]);
    assert!(text.contains("1,499 cancellations requested") && text.contains("1 skipped"), "{text}");
    assert!(text.contains("#7 it does not exist"), "{text}");
    assert_eq!(database.number("select count(*) from async.request").await, 1_499);
    let messages = database.text("select string_agg(distinct error_message, ',') from async.request").await;
    assert_eq!(messages.as_deref(), Some("wrong data"));

    let mut engine = RustEngine::attach(&database);
    engine.lead().await;
    database.wait_for("select count(*) = 1499 from async.task where finish_status = 'CANCELED'").await;
    assert_eq!(database.number("select count(*) from async.task where processed is null").await, 4);
}

fn hidden_of_act(page: &str) -> String {
    let (_, rest) = page.split_once("form=\"act\" name=\"filter\" value=\"").expect("the filter of the page");
    rest.split('"').next().unwrap_or_default().replace("&amp;", "&")
}

#[tokio::test]
async fn selected_tasks_are_restarted_and_the_report_names_the_skipped() {
    let (database, _target) = server().await;
    database
        .run(
            "select async.push_tasks(array[async.task('select 1', 'there')], 'DOA');
             insert into async.task (target, query, run, consumed, processed, finish_status, failed, unique_key, unique_while)
             select 'there', 'select 1', 1, now(), now(), 'FAILED', true, 'k' || i, 'unfinished' from generate_series(2, 3) i;
             select async.push('select 2', 'there', unique_key => 'k3');",
        )
        .await;
    let dashboard = dashboard(&database).await;
    let visitor = dashboard.visitor();
    let asked = visitor.submit(
        "/tasks",
        "/ask/tasks?action=restart",
        &[("id", "1"), ("id", "2"), ("id", "3"), ("id", "4"), ("id", "99")],
    );
    let text = html::read(&asked.body).text;
    assert!(text.contains("Restart 3 tasks?") && text.contains("2 tasks will be skipped"), "{text}");
    let text = confirm(&visitor, &asked, &[]);
    assert!(text.contains("2 tasks restarted") && text.contains("3 skipped"), "{text}");
    for part in ["#4 it is READY", "#99 it does not exist", "PA035"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let ready = database
        .text("select string_agg(task_id::text, ',' order by task_id) from async.task where processed is null")
        .await;
    assert_eq!(ready.as_deref(), Some("1,2,4"));
}

#[tokio::test]
async fn a_deferral_takes_a_length_of_time() {
    let (database, _target) = server().await;
    database.run("update async.control set paused = true; select async.push('select 1', 'there')").await;
    let mut engine = RustEngine::attach(&database);
    engine.lead().await;
    let dashboard = dashboard(&database).await;
    let visitor = dashboard.visitor();
    let asked = visitor.submit("/tasks/1", "/ask/tasks?action=defer&id=1", &[]);
    let question = hidden(&asked.body, "question");
    let wrong = visitor.submit("/tasks", "/tasks/change", &[("question", &question), ("by", "soon")]);
    assert!(wrong.status == 400 && wrong.body.contains("is no length of time"), "{wrong:#?}");
    // The question still stands.
    let text = confirm(&visitor, &asked, &[("by", "2h")]);
    assert!(text.contains("1 deferrals requested") || text.contains("1 deferral requested"), "{text}");
    database.wait_for("select eligible_when > now() + interval '1 hour' from async.task").await;
}

#[tokio::test]
async fn a_question_belongs_to_one_browser() {
    let (database, _target) = server().await;
    database.run("select async.push('select 1', 'there')").await;
    let dashboard = dashboard(&database).await;
    let (mine, other) = (dashboard.visitor(), dashboard.visitor());
    let asked = mine.submit("/tasks", "/ask/tasks?action=cancel", &[("id", "1")]);
    let question = hidden(&asked.body, "question");
    let answer = other.submit("/tasks", "/tasks/change", &[("question", &question)]);
    assert_eq!(answer.status, 409, "{answer:#?}");
    assert_eq!(database.number("select count(*) from async.request").await, 0);
}

#[tokio::test]
async fn wrong_forms_of_actions_are_refused_with_a_sentence() {
    let (database, _target) = server().await;
    let dashboard = dashboard(&database).await;
    let visitor = dashboard.visitor();
    for (action, fields, part) in [
        ("/ask/tasks?action=cancel", &[][..], "No task is selected."),
        ("/ask/tasks?action=explode", &[("id", "1")], "The form has no action."),
        ("/ask/tasks?action=cancel", &[("id", "1 or 1=1")], "is no id of a task"),
        ("/ask/tasks?action=cancel&all=1", &[("filter", "phase=later")], "there is no phase"),
        ("/tasks/change", &[("question", "guessed")], "was answered, or is too old"),
        ("/tasks/again", &[("task", "99")], "There is no task 99 with a query."),
        ("/schedules/run", &[("schedule", "none")], "There is no schedule"),
        ("/schedules/pause", &[("schedule", "none")], "PA0A3"),
        ("/pools/pause", &[("pool", "none")], "There is no pool"),
        ("/targets/pause", &[("target", "none")], "There is no target"),
        ("/pools/set", &[("pool", "narrow"), ("max_workers", "-1")], "max_workers"),
        ("/pools/set", &[("pool", "narrow"), ("max_workers", "many")], "no such number"),
        ("/pools/set", &[("pool", "narrow"), ("max_workers", "1"), ("starts_max", "3")], "interval"),
        ("/targets/set", &[("target", "there"), ("max_concurrency", "")], "max_concurrency"),
        (
            "/targets/set",
            &[("target", "there"), ("max_concurrency", "4"), ("default_timeout", "long")],
            "default_timeout",
        ),
        ("/starts", &[("paused", "perhaps")], "The form has no paused."),
    ] {
        let answer = visitor.submit("/", action, fields);
        assert!((400..500).contains(&answer.status), "{action} {fields:?}: {answer:#?}");
        let text = html::read(&answer.body).text;
        assert!(text.contains(part), "{action} {fields:?}: {text}");
    }
}

#[tokio::test]
async fn schedules_run_now_and_pause() {
    let (database, target) = server().await;
    let mut engine = RustEngine::attach(&database);
    engine.lead().await;
    database
        .run("select async.schedule('load', '30 2 1 1 *', 'insert into ledger values (''scheduled'')', 'tag:prod', source => 'plan')")
        .await;
    let dashboard = dashboard(&database).await;
    let visitor = dashboard.visitor();
    let text = html::read(&visitor.page("/ask/schedule?schedule=load")).text;
    assert!(text.contains("Run load now?") && text.contains("insert into ledger"), "{text}");
    let ran = visitor.submit("/ask/schedule?schedule=load", "/schedules/run", &[("schedule", "load")]);
    assert_eq!(ran.leads_to(), "/tasks/1");
    database.wait_until_finished().await;
    assert_eq!(target.marks("scheduled").await, 1);
    assert_eq!(database.text("select source from async.task").await.as_deref(), Some("plan"));

    assert!(visitor.submit("/schedules", "/schedules/pause", &[("schedule", "load")]).leads_to() == "/schedules");
    assert!(html::read(&visitor.page("/schedules")).text.contains("load paused"), "the page after an action shows it");
    visitor.submit("/schedules", "/schedules/resume", &[("schedule", "load")]).leads_to();
    assert!(!html::read(&visitor.page("/schedules")).text.contains("load paused"));
}

#[tokio::test]
async fn pools_and_targets_pause_and_resume() {
    let (database, target) = server().await;
    let mut engine = RustEngine::attach(&database);
    engine.lead().await;
    let dashboard = dashboard(&database).await;
    let visitor = dashboard.visitor();
    for (page, field, name) in [("/pools?q=narrow", "pool", "narrow"), ("/targets?q=there", "target", "there")] {
        let path = page.split('?').next().unwrap_or_default();
        let set = |action: &str| visitor.submit(page, &format!("{path}/{action}"), &[(field, name)]);
        assert_eq!(set("pause").leads_to(), page);
        assert!(html::read(&visitor.page(page)).text.contains("paused"), "{page}");
        database
            .run(&format!(
                "select async.push('insert into ledger values (''{field}'')', 'there', concurrency_pool => 'narrow')"
            ))
            .await;
        visitor.wait_for("/", &format!("{field} {name} is paused"));
        assert_eq!(target.marks(field).await, 0);
        set("resume").leads_to();
        assert!(!html::read(&visitor.page(page)).text.contains("paused"), "{page}");
        database.wait_until_finished().await;
        assert_eq!(target.marks(field).await, 1);
    }
}

#[tokio::test]
async fn pools_and_targets_are_edited() {
    let (database, _target) = server().await;
    let dashboard = dashboard(&database).await;
    let visitor = dashboard.visitor();
    let fields = [("pool", "narrow"), ("max_workers", "5"), ("starts_max", "10"), ("interval", "1m30s")];
    assert_eq!(visitor.submit("/ask/pool?pool=narrow", "/pools/set", &fields).status, 303);
    let row =
        database.text("select row(max_workers, starts_max, \"interval\")::text from async.concurrency_pool").await;
    assert_eq!(row.as_deref(), Some("(5,10,00:01:30)"));
    let text = html::read(&visitor.page("/pools?q=narrow")).text;
    assert!(text.contains("0 / 5") && text.contains("starts at most 10 in 1 m 30 s"), "{text}");
    let page = visitor.page("/ask/pool?pool=narrow");
    assert!(page.contains("value=\"10\"") && page.contains("value=\"1m30s\""), "{page}");
    let fields = [("pool", "narrow"), ("max_workers", "5"), ("starts_max", ""), ("interval", "")];
    visitor.submit("/ask/pool?pool=narrow", "/pools/set", &fields).leads_to();
    assert_eq!(database.text("select starts_max from async.concurrency_pool").await.as_deref(), Some("0"));

    let fields = [("target", "there"), ("max_concurrency", "6"), ("max_sessions", "3"), ("default_timeout", "2h")];
    visitor.submit("/ask/target?target=there", "/targets/set", &fields).leads_to();
    let sql = "select row(max_concurrency, max_sessions, default_timeout, retired, tags)::text from async.target where target = 'there'";
    assert_eq!(database.text(sql).await.as_deref(), Some("(6,3,02:00:00,f,{prod})"));
    let fields = [("target", "there"), ("max_concurrency", "6"), ("max_sessions", ""), ("default_timeout", "")];
    visitor.submit("/ask/target?target=there", "/targets/set", &fields).leads_to();
    assert_eq!(database.text(sql).await.as_deref(), Some("(6,3,02:00:00,f,{prod})"), "an empty field changes nothing");
    // The other target stays.
    assert_eq!(database.number("select count(*) from async.target where not retired").await, 3);
}
