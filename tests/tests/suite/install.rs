//! Installations of the schema.

use std::process::Command;

use pgasync_store::{SchemaPart, install};
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

    install(&session, SchemaPart::All).await.expect("it installs");
    session.batch_execute("select async.push_tasks(array[async.task('select 0', 'SELF')])").await.expect("it pushes");
    let before: String = session.query_one(catalog, &[]).await.expect("a catalog").get(0);
    install(&session, SchemaPart::All).await.expect("it installs again");
    let after: String = session.query_one(catalog, &[]).await.expect("a catalog").get(0);

    assert_eq!(before, after);
    let tasks: i64 = session.query_one("select count(*) from async.task", &[]).await.expect("tasks").get(0);
    assert_eq!(tasks, 1);
}

/// Every object that an administrator may use or the documentation names has a comment in the
/// catalog, and so has each of its columns.
#[tokio::test]
async fn everything_that_users_see_has_a_comment() {
    let scratch = Scratch::empty(&Cluster::shared()).await;
    let session = scratch.connect().await;
    install(&session, SchemaPart::All).await.expect("it installs");
    let role = format!("{}_admin", scratch.name());
    session.batch_execute(&format!("create role {role}; select async.grant_admin('{role}')")).await.expect("a role");
    let pages = [
        include_str!("../../../docs/using.md"),
        include_str!("../../../docs/pushing.md"),
        include_str!("../../../docs/retries.md"),
        include_str!("../../../docs/results.md"),
        include_str!("../../../docs/limits.md"),
        include_str!("../../../docs/schedules.md"),
        include_str!("../../../docs/receipts.md"),
    ];
    let documented: Vec<&str> = pages
        .iter()
        .flat_map(|page| page.split("async.").skip(1))
        .filter_map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next())
        .collect();

    let seen = session
        .query(
            "select p.oid::regprocedure::text as name, obj_description(p.oid, 'pg_proc') as comment
             from pg_proc p
             where p.pronamespace = 'async'::regnamespace
               and (has_function_privilege($1, p.oid, 'execute') or p.proname = any ($2)
                 or p.proname in ('main', 'cycle', 'finish_internal', 'adopt', 'grant_client', 'grant_admin'))
             union all
             select c.oid::regclass::text, obj_description(c.oid, 'pg_class')
             from pg_class c
             where c.relnamespace = 'async'::regnamespace and c.relkind in ('r', 'v')
             union all
             select c.oid::regclass || '.' || a.attname, col_description(c.oid, a.attnum)
             from pg_class c
             join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
             where c.relnamespace = 'async'::regnamespace and (c.relkind in ('r', 'v') or c.relname = 'task_push_t')
             union all
             select t.oid::regtype::text, obj_description(t.oid, 'pg_type')
             from pg_type t
             where t.typnamespace = 'async'::regnamespace
               and (t.typtype = 'e' or t.oid = 'async.task_push_t'::regtype)
             order by name",
            &[&role, &documented],
        )
        .await
        .expect("a catalog");
    session.batch_execute(&format!("drop owned by {role}; drop role {role}")).await.expect("no role");

    assert!(seen.len() > 300, "only {} objects were found", seen.len());
    let silent: Vec<String> = seen
        .iter()
        .filter(|row| row.get::<_, Option<String>>("comment").is_none_or(|comment| comment.len() < 10))
        .map(|row| row.get("name"))
        .collect();
    assert!(silent.is_empty(), "without a comment: {silent:#?}");
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
