//! The role of the connection decides.

use super::fixture::{ADMIN, Dashboard, role, server};
use super::html;
use super::http::form_key;

#[tokio::test]
async fn a_client_sees_tasks_and_no_more_is_offered() {
    let (database, _target) = server().await;
    database.run("select async.push('select 1', 'there'); select async.push_tasks(array[async.task('select 2', 'there')], 'DOA')").await;
    let conninfo = role(&database, "c", "select async.grant_client('ROLE', '{there}')").await;
    let dashboard = Dashboard::start(&conninfo, &[], &[]);
    let visitor = dashboard.visitor();
    let overview = visitor.page("/");
    for link in ["/pools", "/targets", "/log", "/ask/starts"] {
        assert!(!html::read(&overview).links.contains(link), "{link}: {overview}");
    }
    assert!(html::read(&overview).text.contains("Waiting 1 "), "{overview}");
    for path in ["/pools", "/targets"] {
        assert!(html::read(&visitor.page(path)).text.contains("For administrators"), "{path}");
    }
    assert_eq!(visitor.get("/log").status, 403);
    let task = html::read(&visitor.page("/tasks/1")).text;
    assert!(task.contains("Cancel") && task.contains("Defer") && task.contains("Push again"), "{task}");

    // What is not offered is refused by the server as well.
    let key = form_key(&overview);
    let answer = visitor.post("/starts", &[("paused", "true"), ("form_key", &key)]);
    assert_eq!(answer.status, 403, "{answer:#?}");
    let answer = visitor.post("/pools/set", &[("pool", "narrow"), ("max_workers", "100"), ("form_key", &key)]);
    assert_eq!(answer.status, 403, "{answer:#?}");
    assert_eq!(database.text("select max_workers from async.concurrency_pool").await.as_deref(), Some("2"));

    // It may push where it may push.
    let pushed = visitor.submit("/ask/again?task=1", "/tasks/again", &[("task", "1")]);
    assert_eq!(pushed.leads_to(), "/tasks/3");
    database.run("insert into async.task (target, query) values ('down', 'select 1')").await;
    let refused = visitor.submit("/ask/again?task=4", "/tasks/again", &[("task", "4")]);
    assert!(refused.status >= 400 && refused.body.contains("PA082"), "{refused:#?}");
}

#[tokio::test]
async fn a_role_that_reads_is_offered_no_action() {
    let (database, _target) = server().await;
    database.run("select async.push('select 1', 'there')").await;
    let grants = "grant usage on schema async to ROLE; grant select on async.task to ROLE;
        grant execute on function async.task_execution_state(async.task) to ROLE";
    let conninfo = role(&database, "r", grants).await;
    let dashboard = Dashboard::start(&conninfo, &[], &[]);
    let visitor = dashboard.visitor();
    for path in ["/", "/tasks", "/tasks/1", "/schedules"] {
        let page = visitor.page(path);
        assert!(!page.contains("formaction") && !page.contains("/ask/"), "{path}: {page}");
    }
    let answer = visitor.submit("/tasks", "/ask/tasks?action=cancel", &[("id", "1")]);
    let question = super::http::hidden(&answer.body, "question");
    let report = visitor.submit("/tasks", "/tasks/change", &[("question", &question)]);
    let path = report.leads_to().to_owned();
    let text = visitor.wait_for(&path, "permission denied");
    assert!(text.contains("0 cancellations requested"), "{text}");
    assert_eq!(database.number("select count(*) from async.request").await, 0);
}

#[tokio::test]
async fn a_dashboard_whose_role_becomes_the_owner_shows_nothing_more() {
    let (database, _target) = server().await;
    let conninfo = role(&database, "o", ADMIN).await;
    let dashboard = Dashboard::start(&conninfo, &[], &[]);
    let visitor = dashboard.visitor();
    assert_eq!(visitor.get("/").status, 200);
    let name = database.text("select rolname::text from pg_roles where rolname like 'wo\\_%'").await.expect("a role");
    database.run(&format!("alter role {name} superuser")).await;
    let begin = std::time::Instant::now();
    loop {
        let answer = visitor.get("/");
        if answer.status == 403 {
            assert!(
                answer.body.contains("has the rights of the owner") && !answer.body.contains("Waiting"),
                "{answer:#?}"
            );
            break;
        }
        assert!(begin.elapsed().as_secs() < 30, "it goes on as the owner: {answer:#?}");
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    database.run(&format!("alter role {name} nosuperuser")).await;
}
