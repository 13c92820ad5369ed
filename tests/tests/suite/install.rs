//! Installing.

use std::process::Command;

use pgasync_store::{Part, install};
use pgasync_tests::{Cluster, Database, Scratch};

#[tokio::test]
async fn installing_again_changes_nothing_and_loses_nothing() {
    let scratch = Scratch::empty(&Cluster::shared()).await;
    let session = scratch.connect().await;
    let catalog = "
        select coalesce(string_agg(line, E'\\n' order by line collate \"C\"), '') from (
            select p.oid::regprocedure || ' ' || md5(p.prosrc || coalesce(p.proconfig::text, '')) || coalesce(p.proacl::text, '')
            from pg_proc as p where p.pronamespace = 'async'::regnamespace
            union all
            select c.oid::regclass || ' ' || c.relkind::text || coalesce(c.relacl::text, '')
            from pg_class as c where c.relnamespace = 'async'::regnamespace
            union all
            select a.attrelid::regclass || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
            from pg_attribute as a join pg_class as c on c.oid = a.attrelid
            where c.relnamespace = 'async'::regnamespace and a.attnum > 0 and not a.attisdropped
        ) as catalog(line)";

    install(&session, Part::All).await.expect("it installs");
    session.batch_execute("select async.push_tasks(array[async.task('select 0', 'SELF')])").await.expect("it pushes");
    let before: String = session.query_one(catalog, &[]).await.expect("a catalog").get(0);
    install(&session, Part::All).await.expect("it installs again");
    let after: String = session.query_one(catalog, &[]).await.expect("a catalog").get(0);

    assert_eq!(before, after);
    let tasks: i64 = session.query_one("select count(*) from async.task", &[]).await.expect("tasks").get(0);
    assert_eq!(tasks, 1);
}

#[tokio::test]
async fn the_binary_prints_the_library_s_scripts() {
    for (part, text) in [
        ("client", pgasync_sql::client()),
        ("server", pgasync_sql::server()),
        ("ui", pgasync_sql::ui()),
        ("all", pgasync_sql::all()),
    ] {
        let printed = Command::new("pgasync").args(["sql", part]).output().expect("./dev puts pgasync on PATH");
        assert!(printed.status.success());
        assert_eq!(String::from_utf8_lossy(&printed.stdout), text, "{part}");
    }
}

#[tokio::test]
async fn the_binary_installs_into_the_given_database() {
    let scratch = Scratch::empty(&Cluster::shared()).await;
    for part in ["client", "server", "ui", "all"] {
        let done = Command::new("pgasync")
            .args(["init", "--server", &scratch.conninfo(), part])
            .output()
            .expect("./dev puts pgasync on PATH");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    let session = scratch.connect().await;
    session.query_one("select from async.control", &[]).await.expect("a server has one control row");
}

#[tokio::test]
async fn each_test_has_a_database_of_its_own() {
    let (one, other) = (Database::create().await, Database::create().await);
    one.run("select async.push_tasks(array[async.task('select 0', 'SELF')])").await;
    assert_eq!(one.number("select count(*) from async.task").await, 1);
    assert_eq!(other.number("select count(*) from async.task").await, 0);
    assert_ne!(one.name(), other.name());
}
