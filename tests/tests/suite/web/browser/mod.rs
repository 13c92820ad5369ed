//! The dashboard in a browser.

mod chromium;

use std::time::Duration;

use pgasync_tests::{Database, Engine, RustEngine, SqlEngine, Target};
use serde_json::json;

use self::chromium::Browser;
use super::fixture::{ADMIN, Dashboard, dashboard, role, server};

impl Browser {
    /// Opens a page of the dashboard, and waits for its first fragments.
    fn open(&mut self, dashboard: &Dashboard, path: &str) {
        self.go(&format!("http://{}{path}", dashboard.address));
        self.wait_for("document.body.dataset.link === 'live'");
    }

    /// Nothing went wrong, and the page scrolls in one direction only.
    #[track_caller]
    fn assert_clean(&mut self, place: &str) {
        let problems = self.problems();
        assert!(problems.is_empty(), "{place}: {problems:#?}");
        let wide = self.value("document.documentElement.scrollWidth - document.documentElement.clientWidth");
        assert_eq!(wide, json!(0), "{place} scrolls sideways: {}", self.text(WIDEST));
    }
}

/// The elements that reach beyond the page.
const WIDEST: &str =
    "Array.from(document.querySelectorAll('main *')).filter(e => e.getBoundingClientRect().right > innerWidth)
    .map(e => e.tagName + '.' + e.className).slice(0, 5).join(' ')";

/// A server with every kind of task.
async fn busy_server() -> (Database, Target, RustEngine) {
    let (database, target) = server().await;
    let mut engine = RustEngine::attach(&database);
    engine.lead().await;
    database
        .run(
            "select async.push('insert into ledger values (''ok'')', 'there', source => 'nightly');
             select async.push('select 1/0 -- ' || repeat('averylongword', 30), 'there', source => 'nightly');
             select async.push('select pg_sleep(600)', 'there', concurrency_pool => 'narrow') from generate_series(1, 3);
             select async.push('select 1', 'down');
             select async.push('select 2', 'there', run_at => now() + interval '1 day');
             select async.push('select n, repeat(''x'', 300) as wide from generate_series(1, 3) n', 'there', keep_result => true);
             select async.schedule('load', '30 2 * * *', 'call load()', 'there', time_zone => 'Europe/Berlin');",
        )
        .await;
    database.wait_for("select count(*) = 3 from async.task where processed is not null").await;
    database.wait_for("select exists (select from async.target_outage)").await;
    (database, target, engine)
}

#[tokio::test]
async fn every_page_fits_every_width_in_both_themes_without_a_word_on_the_console() {
    let (database, _target, _engine) = busy_server().await;
    let dashboard = dashboard(&database).await;
    let mut browser = Browser::start();
    let paths = [
        "/",
        "/tasks",
        "/tasks?phase=later",
        "/tasks?text=nothing+is+so&ended=1h",
        "/tasks/1",
        "/tasks/2",
        "/tasks/3",
        "/tasks/8",
        "/pools",
        "/targets",
        "/schedules",
        "/log",
        "/ask/pool?pool=narrow",
        "/ask/schedule?schedule=load",
        "/ask/starts",
    ];
    for (width, height) in [(360, 740), (768, 1024), (1_920, 1_080)] {
        browser.size(width, height);
        for path in paths {
            browser.open(&dashboard, path);
            browser.assert_clean(&format!("{path} at {width}"));
        }
    }
    for theme in ["light", "dark"] {
        browser.theme(theme);
        browser.open(&dashboard, "/");
        let dark = browser.value("getComputedStyle(document.body).backgroundColor === 'rgb(13, 14, 18)'");
        assert_eq!(
            dark,
            json!(theme == "dark"),
            "{theme}: {}",
            browser.text("getComputedStyle(document.body).backgroundColor")
        );
        for path in paths {
            browser.open(&dashboard, path);
            let contrast = browser.text(CONTRAST);
            assert_eq!(contrast, "", "texts without contrast on {path} in {theme}");
        }
    }
    // The switch outlives the page.
    browser.theme("light");
    browser.size(1_280, 800);
    browser.open(&dashboard, "/");
    for name in ["light", "dark"] {
        browser.click("#theme");
        browser.wait_for(&format!("document.getElementById('theme').textContent === 'Theme: {name}'"));
    }
    browser.open(&dashboard, "/pools");
    browser.wait_for("getComputedStyle(document.body).backgroundColor === 'rgb(13, 14, 18)'");
    browser.assert_clean("the switch");
}

/// Texts whose contrast with what is behind them is below 4.5, as WCAG computes it.
const CONTRAST: &str = "(() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (color) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
    return Array.from(canvas.getImageData(0, 0, 1, 1).data); };
  const light = (color) => color.slice(0, 3).map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => { for (; e; e = e.parentElement) { const c = rgba(getComputedStyle(e).backgroundColor); if (c[3] === 255) return c; }
    return [255, 255, 255, 255]; };
  const bad = [];
  for (const e of document.querySelectorAll('body *')) {
    const own = Array.from(e.childNodes).some(n => n.nodeType === 3 && n.textContent.trim());
    if (!own || !e.getClientRects().length || e.matches('.none, .axis *, option')) continue;
    const [a, b] = [light(rgba(getComputedStyle(e).color)), light(behind(e))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) bad.push(e.tagName + '.' + e.className + ' ' + contrast.toFixed(2) + ' ' + e.textContent.trim().slice(0, 30));
  }
  return bad.slice(0, 8).join('; ');
})()";

#[tokio::test]
async fn a_page_follows_its_server() {
    let (database, _target) = server().await;
    let mut engine = RustEngine::attach(&database);
    engine.lead().await;
    let dashboard = dashboard(&database).await;
    let mut browser = Browser::start();
    browser.size(1_280, 800);
    browser.open(&dashboard, "/tasks?source=seen");
    browser.wait_for("document.body.innerText.includes('No task is so')");
    // What a reader has begun stays: the text of a field, a chosen box.
    browser.value("document.querySelector('input[name=target]').value = 'half a na'");
    database
        .run("select async.push('select ''fresh''', 'there', source => 'seen', run_at => now() + interval '1 day')")
        .await;
    browser.wait_for("document.body.innerText.includes(\"select 'fresh'\")");
    browser.click("td.pick input");
    database.run("select async.push('select ''second''', 'there', source => 'seen')").await;
    browser.wait_for("document.body.innerText.includes(\"select 'second'\")");
    browser.wait_for("document.querySelectorAll('.badge.good').length === 1");
    let picked = browser.text("Array.from(document.querySelectorAll('td.pick input:checked'), b => b.value).join()");
    assert_eq!(picked, "1");
    assert_eq!(browser.text("document.querySelector('input[name=target]').value"), "half a na");

    browser.open(&dashboard, "/");
    let ended = "document.querySelectorAll('.tile-value')[4].textContent === ";
    browser.wait_for(&format!("{ended}'1'"));
    database.run("select async.push('select ' || i, 'there') from generate_series(1, 20) i").await;
    browser.wait_for(&format!("{ended}'21'"));
    browser.assert_clean("a page that was followed");
}

#[tokio::test]
async fn without_the_stream_a_page_polls() {
    let (database, _target) = server().await;
    let dashboard = dashboard(&database).await;
    let mut browser = Browser::start();
    browser.call("Network.setBlockedURLs", json!({ "urls": ["*/live?*"] }));
    browser.go(&format!("http://{}/tasks", dashboard.address));
    browser.wait_for("document.body.dataset.link === 'polling'");
    database.run("select async.push('select ''polled''', 'there')").await;
    browser.wait_for("document.body.innerText.includes(\"select 'polled'\")");
}

#[tokio::test]
async fn an_action_is_asked_done_and_reported() {
    let (database, _target) = server().await;
    let mut engine = RustEngine::attach(&database);
    engine.lead().await;
    database
        .run("select async.push('select ' || i, 'there', source => 'night', run_at => now() + interval '1 day') from generate_series(1, 70) i")
        .await;
    let dashboard = dashboard(&database).await;
    let mut browser = Browser::start();
    browser.size(1_280, 900);
    browser.open(&dashboard, "/tasks?source=night");
    browser.click("details.menu summary");
    browser.click("details.menu button");
    browser.wait_for("document.querySelector('h1').textContent === 'Cancel 70 tasks?'");
    browser.click(".ask button[type=submit]");
    browser.wait_for("document.body.innerText.includes('70 cancellations requested')");
    database.wait_for("select count(*) = 70 from async.task where finish_status = 'CANCELED'").await;

    // One task, from its page, and back into the queue.
    browser.open(&dashboard, "/tasks/7");
    browser.wait_for("document.querySelector('.page-head .badge').textContent === 'canceled'");
    browser.click(".page-head .actions button");
    browser.wait_for("document.querySelector('h1').textContent === 'Restart task 7?'");
    browser.click(".ask button[type=submit]");
    browser.wait_for(
        "document.body.innerText.includes('1 tasks restarted') || document.body.innerText.includes('1 task restarted')",
    );
    assert_eq!(database.number("select count(*) from async.task where finish_status = 'CANCELED'").await, 69);

    // The boxes of the page, all at once.
    browser.open(&dashboard, "/tasks?status=canceled");
    browser.click("[data-pick-all]");
    browser.wait_for("document.querySelectorAll('td.pick input:checked').length === 50");
    browser.assert_clean("actions");
}

#[tokio::test]
async fn a_hostile_query_is_text() {
    let (database, _target) = server().await;
    let hostile = "</script><script>document.title='broken';alert(1)</script><img src=x onerror=\"document.title='broken'\">'\u{202e}\u{1b}";
    let sql = "insert into async.task (target, query, source, processing_error, processed, consumed, run, finish_status, failed, task_data)
        values ($1, $1, $1, $1, now(), now(), 1, 'FAILED', true, jsonb_build_object($1::text, $1::text))";
    database.rows(sql, &[&hostile]).await;
    database.rows("insert into async.server_log (level, message) values ('ERROR', $1::text)", &[&hostile]).await;
    let dashboard = dashboard(&database).await;
    let mut browser = Browser::start();
    for path in ["/", "/tasks", "/tasks/1", "/log", "/pools", "/tasks?text=%3Cscript%3Ealert(1)%3C/script%3E"] {
        browser.open(&dashboard, path);
        // The fragments of the stream are texts as well.
        std::thread::sleep(Duration::from_millis(1_200));
        assert!(browser.text("document.title").ends_with("pgasync"), "{path}");
        assert_eq!(browser.value("document.querySelectorAll('main img, main script').length"), json!(0), "{path}");
        browser.assert_clean(path);
    }
    browser.open(&dashboard, "/tasks/1");
    let shown = browser.text("document.querySelector('#query').textContent");
    assert_eq!(shown, hostile.replace('\u{202e}', "\\u202e").replace('\u{1b}', "\\u001b"));
}

#[tokio::test]
async fn a_takeover_is_seen_as_it_happens() {
    let (database, _target) = server().await;
    let mut rust = RustEngine::attach(&database);
    rust.lead().await;
    let dashboard = dashboard(&database).await;
    let mut browser = Browser::start();
    browser.size(1_280, 800);
    browser.open(&dashboard, "/");
    browser.wait_for("document.querySelector('.leader').innerText.includes('pgasync run leads')");
    rust.stop().await;
    browser.wait_for("document.body.innerText.includes('No orchestrator leads, so nothing starts.')");
    let mut sql = SqlEngine::attach(&database);
    sql.lead().await;
    browser.wait_for("document.querySelector('.leader').innerText.includes('async.main() leads')");
    browser.wait_for("!document.body.innerText.includes('No orchestrator leads')");
    // The sessions of the dashboard are lost, as in a failover.
    let sessions = "select count(pg_terminate_backend(pid)) from pg_stat_activity
        where datname = current_database() and application_name like 'pgasync web%'";
    database.number(sessions).await;
    database.run("select async.push('select 1', 'there')").await;
    browser.wait_for("document.querySelectorAll('.tile-value')[4].textContent === '1'");
    browser.wait_for("document.body.dataset.link === 'live' && !document.querySelector('.banner')");
    browser.assert_clean("a takeover");
    sql.stop().await;
}

#[tokio::test]
async fn the_dashboard_is_used_with_the_keyboard_and_behind_a_login() {
    let (database, _target) = server().await;
    let conninfo = role(&database, "", ADMIN).await;
    let token = [("PGASYNC_WEB_TOKEN", "correct horse battery")];
    let dashboard = Dashboard::start(&conninfo, &["--base-path", "/jobs"], &token);
    let mut browser = Browser::start();
    browser.go(&format!("http://{}/jobs/pools", dashboard.address));
    browser.wait_for("location.pathname === '/jobs/login' && document.activeElement.id === 'token'");
    browser.call("Input.insertText", json!({ "text": "correct horse battery" }));
    browser.press("Enter");
    browser.click("button.primary");
    browser.wait_for("location.pathname === '/jobs/pools' && document.body.dataset.link === 'live'");
    browser.press("g");
    browser.press("t");
    browser.wait_for("location.pathname === '/jobs/tasks' && document.body.dataset.link === 'live'");
    browser.press("/");
    browser.wait_for("document.activeElement.name === 'text'");
    assert_eq!(browser.text("document.cookie"), "", "scripts see no cookie");
    browser.press("Escape");
    browser.click("button[formaction$='/logout']");
    browser.wait_for("location.pathname === '/jobs/login'");
    browser.assert_clean("the login");
}
