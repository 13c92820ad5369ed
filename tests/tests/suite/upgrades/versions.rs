//! Mixed versions: files, a program, or a client database that are older or newer than a schema.

use pgasync_tests::{Cluster, Database, Target};

use super::conversion::pgasync;
use super::original::everything;
use super::released::{RELEASES, client_part, released};

/// Makes the schema one that a later version has left behind: by a migration, or by its version.
const LATER: [&str; 2] = [
    "insert into async.migration (migration) values ('9999_future')",
    "update async.client_control set version = '0.10.0'; update async.control set version = '0.10.0'",
];

#[tokio::test]
async fn files_refuse_a_newer_schema_and_change_nothing() {
    for later in LATER {
        let database = Database::create().await;
        database.run(later).await;
        let before = everything(&database).await;
        for (part, text) in
            [("client", pgasync_sql::client()), ("server", pgasync_sql::server()), ("ui", pgasync_sql::ui())]
        {
            let session = database.connect().await;
            let refused = session.batch_execute(&text).await.expect_err(part);
            let error = refused.server().expect("an error of the server");
            assert_eq!(error.sqlstate, "PA217", "{part}: {}", error.message);
            assert!(error.message.starts_with("the schema async is newer (version 0.1"), "{}", error.message);
            assert!(error.hint.is_some_and(|hint| hint.contains("Nothing was changed")), "{:?}", error.hint);
        }
        assert!(before == everything(&database).await, "{later}\nsomething changed");
    }
}

#[tokio::test]
async fn the_program_refuses_a_newer_schema_and_changes_nothing() {
    for later in LATER {
        let database = Database::create().await;
        database.run(later).await;
        let before = everything(&database).await;
        for arguments in [&["init"][..], &["init", "client"], &["migrate"]] {
            let (code, printed) = pgasync(arguments, &database);
            assert_eq!((code, printed.contains("the schema async is newer")), (7, true), "{arguments:?}\n{printed}");
        }
        assert!(before == everything(&database).await, "{later}\nsomething changed");
    }
    let database = Database::create().await;
    database.run(LATER[0]).await;
    let (code, printed) = pgasync(&["migrate", "--plan"], &database);
    assert_eq!((code, printed.contains("9999_future")), (7, true), "{printed}");
}

#[tokio::test]
async fn the_program_does_not_lead_an_older_schema() {
    for release in RELEASES {
        let database = Database::create().await;
        database.run("drop schema async cascade").await;
        database.run(&released(release)).await;
        let before = everything(&database).await;
        let (code, printed) = pgasync(&["run"], &database);
        assert_eq!((code, printed.contains("pgasync init")), (7, true), "{release}\n{printed}");
        let (code, printed) = pgasync(&["migrate", "--plan"], &database);
        assert_eq!((code, printed.contains("functions and views are replaced")), (1, true), "{release}\n{printed}");
        assert!(before == everything(&database).await, "{release}: something changed");
    }
}

/// Calls of a client database that every release has.
const CALLS: [&str; 6] = [
    "select async.push_task(async.task('select 1', 'there'))",
    "select count(*) from async.push_tasks(array[async.task('select 1', 'there')], 'EXECUTE', 'client')",
    "select async.cancel(array[1]::bigint[])",
    "select async.finish(array[2]::bigint[], 'FINISHED', null)",
    "select async.defer(array[2]::bigint[], '1 minute')",
    "select count(*) from async.get_tasks('hands', 1, '0 seconds')",
];

async fn configured(target: &Target) -> Database {
    let server = Database::create().await;
    configure(&server, target).await;
    server
}

async fn configure(server: &Database, target: &Target) {
    server
        .configure(&serde_json::json!({ "targets": [
            { "target": "there", "connection_string": target.conninfo() },
            { "target": "hands", "asynchronous_finish": true }
        ] }))
        .await;
}

async fn client_of(server: &Database, part: &str) -> Database {
    let client = Database::create().await;
    client.run("drop schema async cascade").await;
    client.run(part).await;
    client.run(&format!("select async.server('{}')", server.conninfo().replace('\'', "''"))).await;
    client
}

#[tokio::test]
async fn an_older_client_database_works_with_a_newer_server() {
    let target = Target::create_on(&Cluster::shared()).await;
    for release in RELEASES {
        let server = configured(&target).await;
        let client = client_of(&server, &client_part(release)).await;
        for call in CALLS {
            let session = client.connect().await;
            let done = session.batch_execute(call).await;
            assert!(done.is_ok(), "{release}: {call}\n{done:?}");
        }
        server.assert_holds("select count(*) = 2 from async.task").await;
        server.assert_holds("select count(*) = 3 from async.request").await;
    }
}

#[tokio::test]
async fn a_newer_client_database_says_that_its_server_is_older() {
    let target = Target::create_on(&Cluster::shared()).await;
    let mut refused = 0;
    for release in RELEASES {
        let server = Database::create().await;
        server.run("drop schema async cascade").await;
        server.run(&released(release)).await;
        configure(&server, &target).await;
        let client = client_of(&server, &pgasync_sql::client()).await;
        for call in
            CALLS.into_iter().chain(["select async.push('select 1', 'there')", "select async.restart(array[1])"])
        {
            let session = client.connect().await;
            let Err(error) = session.batch_execute(call).await else { continue };
            let error = error.server().expect("an error of the server");
            // What the older server says of a task that was not pushed is in order, too.
            if error.sqlstate.starts_with("PA0") && error.sqlstate != "PA005" {
                continue;
            }
            refused += 1;
            assert_eq!(error.sqlstate, "PA005", "{release}: {call}\n{}", error.message);
            assert!(error.message.contains("is older than this client database"), "{}", error.message);
        }
        let pushed = server.number("select count(*) from async.task").await;
        assert!(pushed == 0 || release != "0002" && pushed <= 3, "{release}: {pushed} tasks");
    }
    assert!(refused > 5, "{refused} calls were refused");
}
