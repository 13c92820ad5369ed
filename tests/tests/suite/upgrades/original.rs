//! A database in which the library with the same schema was in use.

use pgasync_tests::{Database, Target};

const CLIENT: &str = include_str!("sql/original_client.sql");
const SERVER: &str = include_str!("sql/original_server.sql");
const HISTORY: &str = include_str!("sql/original_history.sql");
const USERS_OBJECTS: &str = include_str!("sql/users_objects.sql");

/// A client database of the library.
pub(super) async fn client() -> Database {
    let database = Database::create().await;
    database.run("drop schema async cascade").await;
    database.run(CLIENT).await;
    database
}

/// A server of the library, without tasks.
pub(super) async fn server() -> Database {
    let database = client().await;
    database.run(SERVER).await;
    database
}

/// A server of the library with a history, a configuration and objects of users.
pub(super) async fn used(target: &Target) -> Database {
    let database = server().await;
    let literal = |conninfo: String| format!("'{}'", conninfo.replace('\'', "''"));
    let history =
        HISTORY.replace(":there", &literal(target.conninfo())).replace(":self", &literal(database.conninfo()));
    database.run(&history).await;
    database.run(USERS_OBJECTS).await;
    database
}

const CATALOG: &str = "
    select coalesce(string_agg(line, E'\\n' order by line collate \"C\"), '') from (
      select format('%s %s %s', p.oid::regprocedure, md5(p.prosrc), p.proconfig) from pg_proc p
      where p.pronamespace in ('async'::regnamespace, 'public'::regnamespace)
      union all
      select format('%s %s %s', c.oid::regclass, c.relkind, c.relpersistence) from pg_class c
      where c.relnamespace in ('async'::regnamespace, 'public'::regnamespace)
      union all
      select format('%s.%s %s %s %s', a.attrelid::regclass, a.attname, format_type(a.atttypid, a.atttypmod),
        a.attnotnull, pg_get_expr(d.adbin, d.adrelid))
      from pg_attribute a join pg_class c on c.oid = a.attrelid
      left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
      where c.relnamespace in ('async'::regnamespace, 'public'::regnamespace) and a.attnum > 0 and not a.attisdropped
      union all
      select format('%s %s', n.conname, pg_get_constraintdef(n.oid)) from pg_constraint n
      where n.connamespace in ('async'::regnamespace, 'public'::regnamespace)
      union all
      select format('%s %s', pg_get_triggerdef(t.oid), t.tgenabled) from pg_trigger t where not t.tgisinternal
    ) as everything(line)";

/// Everything that an installation could change: the schemas `async` and `public`, and their rows.
pub(super) async fn everything(database: &Database) -> String {
    let mut all = database.text(CATALOG).await.expect("a catalog");
    let tables = "select c.oid::regclass::text as name from pg_class c
        where c.relnamespace in ('async'::regnamespace, 'public'::regnamespace) and c.relkind = 'r' order by 1";
    for table in database.rows(tables, &[]).await {
        let name: String = table.get("name");
        let rows = format!("select string_agg(t::text, E'\\n' order by t::text collate \"C\") from {name} t");
        all.push_str(&format!("\n{name}\n{}", database.text(&rows).await.unwrap_or_default()));
    }
    all
}
