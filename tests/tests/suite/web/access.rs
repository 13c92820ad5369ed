//! Hosts, tokens, cookies, forms and headers.

use super::fixture::{ADMIN, Dashboard, dashboard, role, server};
use super::http::{Visitor, form_key, raw};

const TOKEN: &str = "correct horse battery";

async fn with_token(arguments: &[&str]) -> (pgasync_tests::Database, pgasync_tests::Target, Dashboard) {
    let (database, target) = server().await;
    let conninfo = role(&database, "", ADMIN).await;
    let dashboard = Dashboard::start(&conninfo, arguments, &[("PGASYNC_WEB_TOKEN", TOKEN)]);
    (database, target, dashboard)
}

fn signed_in(dashboard: &Dashboard) -> Visitor {
    let visitor = dashboard.visitor();
    let answer = visitor.post("/login", &[("token", TOKEN), ("next", "/tasks?phase=ready")]);
    assert_eq!(answer.leads_to(), "/tasks?phase=ready");
    visitor
}

#[tokio::test]
async fn every_answer_forbids_what_a_hole_would_need() {
    let (database, _target) = server().await;
    let dashboard = dashboard(&database).await;
    let visitor = dashboard.visitor();
    for path in ["/", "/tasks", "/tasks/1", "/nowhere", "/assets/style.css", "/assets/nowhere", "/login", "/live"] {
        let answer = visitor.get(path);
        let policy = answer.header("content-security-policy").unwrap_or_else(|| panic!("{path}: {answer:#?}"));
        assert!(policy.contains("default-src 'self'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("same-origin"), "{path}");
        assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{path}");
        let is_file = path == "/assets/style.css";
        assert_eq!(answer.header("cache-control") != Some("no-store"), is_file, "{path}: {answer:#?}");
    }
}

#[tokio::test]
async fn without_a_token_a_foreign_host_name_gets_nothing() {
    let (database, _target) = server().await;
    let conninfo = role(&database, "", ADMIN).await;
    let dashboard = Dashboard::start(&conninfo, &["--host", "jobs.example"], &[]);
    let visitor = dashboard.visitor();
    for host in ["localhost", "127.0.0.1:99", "[::1]:5", "jobs.example", "JOBS.example:443"] {
        assert_eq!(visitor.with("Host", host).get("/").status, 200, "{host}");
    }
    for host in
        ["evil.example", "localhost.evil.example", "jobs.example.evil.example", "127.0.0.1.nip.io", "x@localhost"]
    {
        let answer = visitor.with("Host", host).get("/");
        assert_eq!(answer.status, 421, "{host}: {answer:#?}");
        assert!(!answer.body.contains("form_key") && answer.header("set-cookie").is_none(), "{host}: {answer:#?}");
    }
    // Without the header, or with two of them.
    for head in [
        "GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
    ] {
        let answer = raw(dashboard.address, head.as_bytes());
        assert!([400, 421].contains(&answer.status), "{head}: {answer:#?}");
    }
    // A proxy may send the whole address in the first line.
    let answer =
        raw(dashboard.address, b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
    assert_eq!(answer.status, 421, "{answer:#?}");
}

#[tokio::test]
async fn with_a_token_nothing_is_shown_before_the_login() {
    let (database, _target, dashboard) = with_token(&[]).await;
    database.run("select async.push('select ''the secret query''', 'there')").await;
    let visitor = dashboard.visitor();
    for path in ["/", "/tasks", "/tasks/1", "/pools", "/log", "/nowhere", "/ask/starts"] {
        let answer = visitor.get(path);
        assert!(answer.leads_to().starts_with("/login?next=%2F"), "{path}: {answer:#?}");
        assert!(!answer.body.contains("secret"), "{answer:#?}");
    }
    assert_eq!(visitor.get("/live?page=/tasks").status, 401);
    assert_eq!(visitor.with("x-fragments", "1").get("/tasks").status, 401);
    for path in ["/starts", "/ask/tasks?action=cancel&id=1", "/tasks/change", "/schedules/run", "/logout"] {
        let answer = visitor.post(path, &[("paused", "true"), ("form_key", "")]);
        assert_eq!(answer.status, 401, "{path}: {answer:#?}");
    }
    assert_eq!(database.text("select paused from async.control").await.as_deref(), Some("false"));
}

#[tokio::test]
async fn the_token_becomes_a_cookie_that_scripts_and_other_sites_do_not_get() {
    let (_database, _target, dashboard) = with_token(&[]).await;
    let visitor = dashboard.visitor();
    assert!(visitor.page("/login?next=/pools").contains(r#"name="next" value="/pools""#));
    let wrong = visitor.post("/login", &[("token", "correct horse batterz"), ("next", "/")]);
    assert!(wrong.status == 403 && wrong.header("set-cookie").is_none(), "{wrong:#?}");
    assert!(wrong.took.as_millis() >= 1_000, "a wrong token costs a second: {:?}", wrong.took);

    let answer = visitor.post("/login", &[("token", TOKEN), ("next", "/pools")]);
    assert_eq!(answer.leads_to(), "/pools");
    let cookie = answer.header("set-cookie").expect("the login sets a cookie");
    for part in ["HttpOnly", "SameSite=Strict", "Path=/;", "Max-Age=43200"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("correct") && !cookie.contains("Secure"), "{cookie}");
    assert!(visitor.page("/pools").contains("narrow"));

    // A changed cookie, and one of another dashboard.
    let (name, value) = visitor.cookie().expect("a cookie");
    let ended = value.replacen(|c: char| c.is_ascii_digit(), "0", 1);
    for wrong in [&value[..value.len() - 1], ended.as_str(), "", "x", &value.to_uppercase()] {
        let other = dashboard.visitor();
        other.set_cookie(&name, wrong);
        assert!(other.get("/").leads_to().starts_with("/login"), "{wrong}");
    }

    let left = visitor.submit("/", "/logout", &[]);
    assert_eq!(left.leads_to(), "/login");
    assert!(left.header("set-cookie").is_some_and(|cookie| cookie.contains("Max-Age=0")), "{left:#?}");
    assert!(visitor.get("/").leads_to().starts_with("/login"));
}

#[tokio::test]
async fn a_link_of_another_site_finds_the_session() {
    let (_database, _target, dashboard) = with_token(&[]).await;
    // The browser keeps a strict cookie back then, and sends it when the page loads itself once more.
    let foreign = dashboard.visitor().with("Sec-Fetch-Site", "cross-site").with("Sec-Fetch-Mode", "navigate");
    for path in ["/", "/tasks/1", "/login"] {
        let answer = foreign.get(path);
        assert!(answer.status == 200 && answer.body.contains("http-equiv=\"refresh\""), "{path}: {answer:#?}");
        assert!(answer.header("set-cookie").is_none() && !answer.body.contains("form_key"), "{path}: {answer:#?}");
    }
}

#[tokio::test]
async fn the_login_leads_nowhere_else() {
    let (_database, _target, dashboard) = with_token(&[]).await;
    for next in ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)", "/\r\nX-Evil: 1"]
    {
        let answer = dashboard.visitor().post("/login", &[("token", TOKEN), ("next", next)]);
        assert_eq!(answer.leads_to(), "/", "{next:?}");
        assert!(answer.header("x-evil").is_none(), "{answer:#?}");
        let page = dashboard.visitor().page(&format!("/login?next={}", super::http::encode(next)));
        assert!(page.contains(r#"name="next" value="/""#), "{next:?}");
    }
}

#[tokio::test]
async fn a_form_of_another_site_or_session_changes_nothing() {
    let (database, _target, dashboard) = with_token(&[]).await;
    let visitor = signed_in(&dashboard);
    let key = form_key(&visitor.page("/"));
    let other = form_key(&signed_in(&dashboard).page("/"));
    let fields = |key| [("paused", "true"), ("form_key", key)];

    for origin in ["http://evil.example", "null", "https://evil.example", ""] {
        let answer = visitor.with("Origin", origin).post("/starts", &fields(&key));
        assert_eq!(answer.status, 403, "{origin:?}: {answer:#?}");
        // A foreign page must not sign a browser in, either.
        let login = dashboard.visitor().with("Origin", origin).post("/login", &[("token", TOKEN)]);
        assert!(login.status == 403 && login.header("set-cookie").is_none(), "{origin:?}: {login:#?}");
    }
    let longer = format!("{key}0");
    for wrong in ["", "x", &other, &key[1..], &longer] {
        let answer = visitor.post("/starts", &fields(wrong));
        assert_eq!(answer.status, 403, "{wrong}: {answer:#?}");
    }
    for kind in ["text/plain", "multipart/form-data; boundary=x", "application/json", ""] {
        let answer = visitor.with("Content-Type", kind).post("/starts", &fields(&key));
        assert_eq!(answer.status, 415, "{kind}: {answer:#?}");
    }
    // Nothing is changed by reading.
    assert_eq!(visitor.get(&format!("/starts?paused=true&form_key={key}")).status, 405);
    let put = format!(
        "PUT /starts HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nCookie: {}={}\r\nContent-Length: 0\r\n\r\n",
        visitor.cookie().expect("a cookie").0,
        visitor.cookie().expect("a cookie").1
    );
    assert_eq!(raw(dashboard.address, put.as_bytes()).status, 405);
    assert_eq!(database.text("select paused from async.control").await.as_deref(), Some("false"));

    assert_eq!(visitor.post("/starts", &fields(&key)).leads_to(), "/");
    assert_eq!(database.text("select paused from async.control").await.as_deref(), Some("true"));
}

#[tokio::test]
async fn a_user_header_counts_from_a_trusted_proxy_only() {
    let (_database, _target, dashboard) = with_token(&[]).await;
    let forged = dashboard.visitor().with("X-Forwarded-User", "ada");
    assert!(forged.get("/").leads_to().starts_with("/login"), "no proxy is trusted");
    drop(dashboard);

    let (database, _target, dashboard) =
        with_token(&["--trusted-proxy", "127.0.0.1", "--user-header", "Remote-User"]).await;
    assert!(forged_is_refused(&dashboard, "X-Forwarded-User"));
    let ada = dashboard.visitor().with("Remote-User", "ada <i>").with("X-Forwarded-Proto", "https");
    let answer = ada.get("/");
    assert_eq!(answer.status, 200, "{answer:#?}");
    assert!(answer.body.contains("ada &lt;i&gt; as "), "{}", answer.body);
    assert!(answer.header("set-cookie").is_some_and(|cookie| cookie.contains("Secure")), "{answer:#?}");

    // The key of a form belongs to the user.
    let key = form_key(&ada.page("/"));
    let bob = ada.with("Remote-User", "bob");
    assert_eq!(bob.post("/starts", &[("paused", "true"), ("form_key", &key)]).status, 403);
    assert_eq!(database.text("select paused from async.control").await.as_deref(), Some("false"));
    drop(dashboard);

    let (_database, _target, dashboard) = with_token(&["--trusted-proxy", "192.0.2.1"]).await;
    assert!(forged_is_refused(&dashboard, "X-Forwarded-User"), "another proxy is trusted");
}

fn forged_is_refused(dashboard: &Dashboard, header: &str) -> bool {
    dashboard.visitor().with(header, "ada").get("/").status == 303
}

#[tokio::test]
async fn a_request_that_is_too_large_or_too_slow_ends() {
    let (database, _target) = server().await;
    let dashboard = dashboard(&database).await;
    let visitor = dashboard.visitor();
    let key = form_key(&visitor.page("/"));
    let large = visitor.post("/starts", &[("paused", &"x".repeat(100_000)), ("form_key", &key)]);
    assert!([413, 0].contains(&large.status), "{large:#?}");
    let head = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    assert!([431, 400, 0].contains(&raw(dashboard.address, head.as_bytes()).status));
    let long = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(100_000));
    assert!([414, 431, 400, 0].contains(&raw(dashboard.address, long.as_bytes()).status));
    for garbage in [
        &b"\x00\x01\x02\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
    ] {
        let answer = raw(dashboard.address, garbage);
        assert!(![200, 303].contains(&answer.status), "{garbage:?}: {answer:#?}");
    }
    assert_eq!(visitor.get("/").status, 200);
}

#[tokio::test]
async fn a_path_leads_to_nothing_else() {
    let (database, _target) = server().await;
    let dashboard = dashboard(&database).await;
    let visitor = dashboard.visitor();
    for path in [
        "/assets/../Cargo.toml",
        "/assets/%2e%2e%2fCargo.toml",
        "/assets/",
        "/../../etc/passwd",
        "//evil.example/",
        "/tasks/0",
        "/tasks/-1",
        "/tasks/1.5",
        "/tasks/99999999999999999999",
        "/tasks/1/",
        "/tasks/x'--",
        "/reports/x",
        "/%00",
        "/tasks%00",
    ] {
        let answer = visitor.get(path);
        assert!([400, 404].contains(&answer.status), "{path}: {answer:#?}");
        assert!(!answer.body.contains("[package]") && !answer.body.contains("root:"), "{path}");
    }
}

#[tokio::test]
async fn a_base_path_is_in_every_link() {
    let (database, _target) = server().await;
    let conninfo = role(&database, "", ADMIN).await;
    let dashboard = Dashboard::start(&conninfo, &["--base-path", "/ops/jobs/"], &[("PGASYNC_WEB_TOKEN", TOKEN)]);
    let visitor = dashboard.visitor();
    assert_eq!(visitor.get("/ops/jobs/pools").leads_to(), "/ops/jobs/login?next=%2Fpools");
    let answer = visitor.post("/ops/jobs/login", &[("token", TOKEN), ("next", "/pools")]);
    assert_eq!(answer.leads_to(), "/ops/jobs/pools");
    assert!(answer.header("set-cookie").is_some_and(|cookie| cookie.contains("Path=/ops/jobs/;")), "{answer:#?}");
    for path in ["", "/", "/tasks", "/pools", "/targets", "/schedules", "/log"] {
        let page = visitor.page(&format!("/ops/jobs{path}"));
        for link in super::html::read(&page).links {
            assert!(link.starts_with("/ops/jobs/"), "{link} on {path}");
            assert_eq!(visitor.get(&link).status, 200, "{link}");
        }
        assert!(!page.contains("action=\"/\"") && !page.contains("formaction=\"/ask"), "{page}");
    }
    // A proxy may have removed the path.
    assert_eq!(visitor.get("/pools").status, 200);
}
