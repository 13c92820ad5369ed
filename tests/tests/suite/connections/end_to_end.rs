//! `pgasync run` with a server and a target that require TLS.

use std::process::{Child, Command, Stdio};

use pgasync_tests::{Cluster, Database, Engine, RustEngine, Scratch, Signal, send};
use serde_json::json;

use super::certificates::write;
use super::fixture::{ConnectionFixture, PASSWORD};

/// A process that is killed at the end of the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The server is named by PG* variables and a password file alone; the target by its connection
/// string.
#[tokio::test]
async fn server_and_target_are_reached_as_they_want() {
    let fixture = ConnectionFixture::start().await;
    let database = Database::create_on(&fixture.cluster).await;
    let target = Scratch::empty(&fixture.cluster).await;
    target
        .connect()
        .await
        .batch_execute("create table seen (line text); grant all on seen to public")
        .await
        .expect("a table");
    database.run("alter role with_password superuser").await;
    let target_string = format!(
        "host=right.test hostaddr=127.0.0.1 port={} dbname={} user=certified sslmode=verify-full sslrootcert={} \
         sslcert={} sslkey={} options='-c geqo=off -c search_path=a,\\\\ public'",
        fixture.port,
        target.name(),
        fixture.file("ca.crt").display(),
        fixture.file("client.crt").display(),
        fixture.file("client.key").display(),
    );
    database
        .configure(&json!({
            "control": { "self_connection_string": "user=tls_only options='-c geqo_threshold=99'" },
            "targets": [{ "target": "there", "connection_string": target_string, "max_workers": 1 }],
        }))
        .await;
    write(&fixture.file(".pgpass"), &format!("localhost:*:*:with_password:{}\n", PASSWORD.replace(':', "\\:")), 0o600);
    let run = Command::new("pgasync")
        .arg("run")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", fixture.home.path())
        .envs([("PGHOST", "localhost"), ("PGPORT", &fixture.port.to_string()), ("PGDATABASE", database.name())])
        .envs([("PGUSER", "with_password"), ("PGSSLMODE", "verify-ca"), ("PGCHANNELBINDING", "prefer")])
        .env("PGSSLROOTCERT", fixture.file("ca.crt"))
        .env("PGOPTIONS", "-c geqo=off")
        .stderr(Stdio::inherit())
        .spawn()
        .expect("./dev puts pgasync on PATH");
    let run = Process(run);

    let seen = "select concat_ws(' ', s.ssl, session_user, current_setting('geqo'),
        current_setting('geqo_threshold'), current_setting('search_path'),
        case when a.application_name ~ '^pgasync/[^/]+/1[.][0-9a-f]{8}/[0-9]+$' then 'named' else a.application_name end,
        a.wait_event_type is not null)
        from pg_stat_ssl s join pg_stat_activity a using (pid) where pid = pg_backend_pid()";
    database.run("create table public.seen (line text); grant all on public.seen to public").await;
    let push = format!(
        "select async.push_tasks(array[async.task($q$insert into public.seen {seen}$q$, 'there'),
            async.task($q$insert into public.seen {seen}$q$, 'SELF')])"
    );
    database.run(&push).await;
    database.wait_until_finished().await;

    database.assert_holds("select bool_and(finish_status = 'FINISHED') from async.task").await;
    let there: String = target.connect().await.query_one("select line from seen", &[]).await.expect("one line").get(0);
    assert_eq!(there, r"t certified off 12 a, public named f");
    let here = database.text("select line from public.seen").await;
    assert_eq!(here.as_deref(), Some(r#"t tls_only on 99 "$user", public named f"#));
    let leader = "select concat_ws(' ', s.ssl, a.usename, a.application_name) from async.control c
        join pg_stat_activity a using (pid) join pg_stat_ssl s using (pid)";
    assert_eq!(database.text(leader).await.as_deref(), Some("t with_password pgasync run"));
    assert!(send(Signal::Terminate, i32::try_from(run.0.id()).expect("process ids are small")));
}

#[tokio::test]
async fn a_target_with_an_unsupported_option_fails_its_tasks_with_the_name_of_the_option() {
    let database = Database::create().await;
    let string = format!("{} require_auth=scram-sha-256 password=secret", database.conninfo());
    database
        .configure(&json!({
            "control": { "target_patience": "0.1 s" },
            "targets": [{ "target": "there", "connection_string": string, "max_workers": 1 }],
        }))
        .await;
    let mut engine = RustEngine::attach(&database);
    engine.lead().await;
    database.run("select async.push_tasks(array[async.task('select 0', 'there')])").await;
    database.wait_until_finished().await;

    let error = database.text("select processing_error from async.task").await.expect("it failed");
    assert!(error.contains("require_auth=scram-sha-256 is not supported"), "{error}");
    engine.stop().await;
    assert!(!engine.lines().iter().any(|line| line.contains("secret")), "{:#?}", engine.lines());
    database.assert_holds("select not exists (select from async.server_log l where l::text like '%secret%')").await;
}

/// The rule of psql. The other parameters come from the PG* variables of the test run.
#[tokio::test]
async fn a_plain_word_names_a_database() {
    let scratch = Scratch::empty(&Cluster::shared()).await;
    for option in ["-d", "--dbname", "--server"] {
        let done = Command::new("pgasync").args(["init", option, scratch.name(), "client"]).output();
        let done = done.expect("./dev puts pgasync on PATH");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    scratch.connect().await.query_one("select from async.client_control", &[]).await.expect("it is installed there");
}
