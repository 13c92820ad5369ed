//! Texts of others on every page.

use super::fixture::{dashboard, server};
use super::html;
use super::http::encode;

const HOSTILE: &str = "</code></pre><script>alert(1)</script><img src=x onerror=alert(1)>\"'&\u{202e}\u{1b}[2J";

#[tokio::test]
async fn no_text_of_others_becomes_an_element() {
    let (database, _target) = server().await;
    let sql = "insert into async.target (target, connection_string, tags) values ('T' || $1::text, 'host=127.0.0.1 port=1 user=' || quote_literal('x'), array['g' || $1]);";
    database.rows(sql, &[&HOSTILE]).await;
    for sql in [
        "insert into async.concurrency_pool (concurrency_pool) values ('P' || $1::text)",
        "insert into async.task (target, query, source, concurrency_pool, task_data, pushed_by, unique_key, unique_while)
         values ('T' || $1, 'Q' || $1, 'S' || $1, 'P' || $1, jsonb_build_object('k' || $1, $1), 'U' || $1, 'K' || $1, 'unfinished')",
        "insert into async.task (target, query, run, consumed, processed, finish_status, failed, processing_error)
         values ('T' || $1, 'Q' || $1, 1, now(), now(), 'FAILED', true, 'E' || $1)",
        "insert into async.server_log (level, message) values ('L' || $1, 'M' || $1)",
        "insert into async.request (task_id, status, error_message) values (1, 'CANCELED', 'R' || $1)",
        "select async.schedule('C' || $1::text, 'every 1 hour', 'Q' || $1, 'there', source => 'S' || $1)",
    ] {
        database.rows(sql, &[&HOSTILE]).await;
    }
    let dashboard = dashboard(&database).await;
    let visitor = dashboard.visitor();
    let name = |prefix: &str| encode(&format!("{prefix}{HOSTILE}"));
    for (path, parts) in [
        ("/".to_owned(), &["E<", "P<"][..]),
        ("/tasks".to_owned(), &["Q<", "S<", "T<", "P<"]),
        (format!("/tasks?target={}&text={}", name("T"), encode(HOSTILE)), &["Q<"]),
        (format!("/tasks?phase={}", encode(HOSTILE)), &["there is no phase"]),
        ("/tasks/1".to_owned(), &["Q<", "S<", "U<", "K<", "R<"]),
        ("/tasks/2".to_owned(), &["E<"]),
        ("/pools".to_owned(), &["P<"]),
        (format!("/pools?q={}", encode(HOSTILE)), &["P<"]),
        ("/targets".to_owned(), &["T<", "g<"]),
        ("/schedules".to_owned(), &["C<"]),
        ("/log".to_owned(), &["M<", "l<"]),
        (format!("/ask/schedule?schedule={}", name("C")), &["C<", "Q<"]),
        (format!("/ask/pool?pool={}", name("P")), &["P<"]),
        (format!("/ask/target?target={}", name("T")), &["T<"]),
        ("/ask/again?task=1".to_owned(), &["T<"]),
    ] {
        let page = visitor.page(&path);
        let read = html::read(&page);
        for part in parts {
            assert!(read.text.contains(part), "{path} shows no {part}: {}", read.text);
        }
        for forbidden in ["<script>", "<img", "\u{202e}", "\u{1b}"] {
            let is_value = page.contains("value=\"") && !forbidden.starts_with('<');
            assert!(is_value || !page.contains(forbidden), "{path} has {forbidden:?}");
            assert!(!visible_part(&page).contains(forbidden), "{path} shows {forbidden:?}");
        }
        // The links that are made of such names lead to pages.
        for link in read.links.iter().filter(|link| link.contains("script")).take(6) {
            assert_eq!(visitor.get(link).status, 200, "{link}");
        }
    }
    let fragments = visitor.with("x-fragments", "1").page("/tasks");
    assert!(!fragments.contains("<script>") && fragments.contains("&lt;script&gt;"), "{fragments}");
}

/// A page without the values of its fields, which have to come back as they are.
fn visible_part(page: &str) -> String {
    let mut parts = page.split(" value=\"");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| all + part.split_once('"').map_or("", |(_, rest)| rest))
}

#[tokio::test]
async fn hostile_filters_and_ids_reach_no_statement() {
    let (database, _target) = server().await;
    database.run("select async.push('select 1', 'there')").await;
    let dashboard = dashboard(&database).await;
    let visitor = dashboard.visitor();
    for text in ["' or true --", "%'; drop table async.task; --", "\\", "%", "_", "$1", "\u{1f600}", "a\u{0}b"] {
        for field in ["text", "target", "pool", "source", "before", "status", "id"] {
            let answer = visitor.get(&format!("/tasks?{field}={}", encode(text)));
            assert!([200, 422].contains(&answer.status), "{field}={text}: {answer:#?}");
            assert!(!answer.body.contains("select 1<"), "{field}={text} finds the task: {}", answer.body);
        }
        for path in ["/log?text=", "/pools?q=", "/pools?after=", "/targets?q=", "/schedules?q="] {
            let answer = visitor.get(&format!("{path}{}", encode(text)));
            assert!([200, 422].contains(&answer.status), "{path}{text}: {answer:#?}");
        }
    }
    assert_eq!(database.number("select count(*) from async.task").await, 1);
}
