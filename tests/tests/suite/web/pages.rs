//! What the pages show.

use pgasync_tests::{Engine, RustEngine};
use serde_json::json;

use super::fixture::{dashboard, server};
use super::html;
use super::http::Visitor;

/// Every page that a visitor reaches from the first one, and the ones that only a name leads to.
fn crawl(visitor: &Visitor, begin: &[&str]) -> usize {
    let mut found: Vec<String> = begin.iter().map(|&path| path.to_owned()).collect();
    let mut next = 0;
    while next < found.len() {
        let answer = visitor.get(&found[next]);
        assert_eq!(answer.status, 200, "{}: {answer:#?}", found[next]);
        if answer.header("content-type").is_some_and(|kind| kind.starts_with("text/html")) {
            for link in html::read(&answer.body).links {
                if !found.contains(&link) {
                    found.push(link);
                }
            }
        }
        next += 1;
    }
    found.len()
}

#[tokio::test]
async fn every_page_is_whole_and_every_link_leads_to_one() {
    let (database, _target) = server().await;
    let dashboard = dashboard(&database).await;
    let visitor = dashboard.visitor();
    // Nothing was ever pushed, and no orchestrator has led.
    assert!(crawl(&visitor, &["/"]) > 10);

    let mut engine = RustEngine::attach(&database);
    engine.lead().await;
    database
        .run(
            "select async.push('insert into ledger values (''ok'')', 'there', source => 'nightly', keep_result => true,
               task_data => '{\"kind\": \"load\"}');
             select async.push('select 1/0', 'there', concurrency_pool => 'narrow');
             select async.push('select 1', 'down');
             select async.push('select 2', 'there', run_at => now() + interval '1 day');
             select async.schedule('often', 'every 1 hour', 'select 3', 'there', concurrency_pool => 'narrow');",
        )
        .await;
    database.wait_for("select count(*) = 2 from async.task where processed is not null").await;
    database.wait_for("select exists (select from async.target_outage)").await;
    // The snapshot of the first look is older.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert!(crawl(&visitor, &["/", "/ask/starts", "/tasks?phase=unfinished&newer-than=1h"]) > 30);
}

#[tokio::test]
async fn the_overview_says_what_happens_and_why_tasks_wait() {
    let (database, _target) = server().await;
    let dashboard = dashboard(&database).await;
    let visitor = dashboard.visitor();
    let text = html::read(&visitor.page("/")).text;
    for part in
        ["No orchestrator leads, so nothing starts.", "Start one with pgasync run", "Nothing waits", "Nothing failed"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }

    database.run("update async.control set paused = true").await;
    let mut engine = RustEngine::attach(&database);
    engine.lead().await;
    database
        .run("select async.push('select 1', 'there'); select async.push('select 2', 'there', concurrency_pool => 'narrow')")
        .await;
    visitor.wait_for("/", "pgasync run leads");
    let text = visitor.wait_for("/", "async.control.paused is true");
    assert!(text.contains("New starts are held."), "{text}");
    assert!(text.contains("there and 1 other lane"), "{text}");

    database.run("update async.control set paused = false; select async.push('select 1/0', 'there')").await;
    database.wait_until_finished().await;
    let text = visitor.wait_for("/", "division by zero");
    assert!(text.contains("22012") && text.contains("33.3 % of what ended"), "{text}");
}

#[tokio::test]
async fn tasks_are_found_by_filters_and_pages() {
    let (database, _target) = server().await;
    database
        .run(
            "insert into async.task (target, query, source, concurrency_pool)
             select 'there', 'select ' || i, case when i % 2 = 0 then 'even' else 'odd' end, case when i > 100 then 'narrow' end
             from generate_series(1, 120) i;
             select async.push_tasks(array[async.task('select ''Needle''', 'there')], 'DOA');",
        )
        .await;
    let dashboard = dashboard(&database).await;
    let visitor = dashboard.visitor();
    let found = |path: &str| {
        let page = visitor.page(path);
        let text = html::read(&page).text;
        let begin = text.find(" task").unwrap_or_else(|| panic!("{path}: {text}"));
        let count = text[..begin].rsplit([' ', '>']).next().unwrap_or_default().to_owned();
        (count, page.matches("name=\"id\" value=\"").count().min(page.matches("Select task ").count()))
    };
    for (path, count, rows) in [
        ("/tasks", "121", 50),
        ("/tasks?phase=ready", "120", 50),
        ("/tasks?source=even&phase=ready", "60", 50),
        ("/tasks?pool=narrow", "20", 20),
        ("/tasks?pool=narrow&source=odd", "10", 10),
        ("/tasks?text=nEEdle", "1", 1),
        ("/tasks?failed=1", "1", 1),
        ("/tasks?status=doa", "1", 1),
        ("/tasks?newer-than=1h&target=there", "121", 50),
        ("/tasks?older-than=1h", "0", 0),
        ("/tasks?target=nowhere", "0", 0),
        ("/tasks?id=1,2,3", "3", 3),
    ] {
        assert_eq!(found(path), (count.to_owned(), rows), "{path}");
    }
    assert!(html::read(&visitor.page("/tasks?phase=later")).text.contains("there is no phase \"later\""));

    // All pages in turn have each task once.
    let (mut path, mut seen) = ("/tasks?phase=ready".to_owned(), Vec::new());
    loop {
        let page = visitor.page(&path);
        seen.extend(
            page.split("Select task ").skip(1).map(|rest| rest.split('"').next().unwrap_or_default().to_owned()),
        );
        let links = html::read(&page).links;
        let Some(next) = links.iter().find(|link| link.contains("before=")) else { break };
        path.clone_from(next);
    }
    let count = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!((count, seen.len()), (120, 120));
}

#[tokio::test]
async fn a_count_has_a_limit() {
    let (database, _target) = server().await;
    database
        .run("insert into async.task (target, query) select 'there', 'select 1' from generate_series(1, 10001); analyze async.task")
        .await;
    let dashboard = dashboard(&database).await;
    let visitor = dashboard.visitor();
    assert!(html::read(&visitor.page("/tasks")).text.contains("10,000+ tasks"));
    assert!(html::read(&visitor.page("/")).text.contains("Waiting 10,000+ "));
}

#[tokio::test]
async fn a_task_shows_everything_about_it() {
    let (database, _target) = server().await;
    database
        .configure(&json!({"retry_policies": [{"retry_policy": "twice", "max_attempts": 2, "delay": "10 minutes", "sqlstates": ["any"]}]}))
        .await;
    let mut engine = RustEngine::attach(&database);
    engine.lead().await;
    database
        .run(
            "select async.push('select 1/0', 'there', retry => 'twice', source => 'nightly', unique_key => 'k',
               task_data => '{\"kind\": \"load\"}');
             select async.push('select n, ''<b>'' || n as text from generate_series(1, 3) n', 'there', keep_result => true);
             select async.push('select pg_sleep(600)', 'there');",
        )
        .await;
    database.wait_for("select exists (select from async.attempt) and exists (select from async.result)").await;
    database.wait_for("select consumed is not null from async.task where task_id = 3").await;
    let dashboard = dashboard(&database).await;
    let visitor = dashboard.visitor();

    let text = html::read(&visitor.page("/tasks/1")).text;
    for part in [
        "Task #1 ready",
        "select 1/0",
        "division by zero",
        "Attempt 1 ended: failed",
        "May start",
        "twice",
        "1 of 2",
        "from nightly",
        "\"kind\": \"load\"",
        "Unique key k",
        "by postgres",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let text = html::read(&visitor.page("/tasks/2")).text;
    assert!(text.contains("Ended: finished") && text.contains("3 rows") && text.contains("<b>3"), "{text}");

    database.run("select async.defer('{3}', '2 hours'); update async.control set enabled = enabled").await;
    let text = visitor.wait_for("/tasks/3", "May start");
    assert!(text.contains("deferred until then") && text.contains("Task #3 ready"), "{text}");
    assert!(html::read(&visitor.get("/tasks/99").body).text.contains("There is no task 99."));
}

#[tokio::test]
async fn pools_targets_and_schedules_show_their_state_and_no_password() {
    let (database, _target) = server().await;
    let mut engine = RustEngine::attach(&database);
    engine.lead().await;
    database
        .run(
            "select async.push('select pg_sleep(600)', 'there', concurrency_pool => 'narrow') from generate_series(1, 3);
             select async.push('select 1', 'down');
             select async.schedule('load', '30 2 * * *', 'call load()', 'there', time_zone => 'Europe/Berlin');
             select async.schedule('held', 'every 1 hour', 'select 1', 'there'); select async.pause_schedule('held');",
        )
        .await;
    database.wait_for("select exists (select from async.target_outage)").await;
    let dashboard = dashboard(&database).await;
    let visitor = dashboard.visitor();

    let text = visitor.wait_for("/pools?q=narr", "2 / 2");
    assert!(text.contains("1 pool") && text.contains("narrow"), "{text}");
    let text = visitor.wait_for("/targets", "lost");
    assert!(text.contains("waiting tasks fail") && text.contains("prod"), "{text}");
    assert!(!visitor.page("/targets").contains("hidden_password") && !text.contains("password=hidden"), "{text}");
    let text = html::read(&visitor.page("/schedules")).text;
    for part in ["30 2 * * *", "Europe/Berlin", "call load()", "held paused", "2 schedules"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let text = html::read(&visitor.page("/log?level=warning")).text;
    assert!(!text.contains("password=hidden"), "{text}");
    assert!(html::read(&visitor.page("/log?text=no+such+line")).text.contains("No such line"));
}
