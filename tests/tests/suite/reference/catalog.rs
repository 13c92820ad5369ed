//! What the catalog says of the schema: its calls, tables, views, types and settings.

use std::collections::BTreeMap;

use pgasync_pg::{Row, Session};
use pgasync_store::{SchemaPart, install};
use pgasync_tests::{Cluster, Scratch};

/// The comment of an object that is no part of the contract begins with this.
pub(super) const INTERNAL: &str = "Internal. ";

/// The files that contain an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// `async.sql`.
    Everywhere,
    /// `async_server.sql`.
    Server,
    /// `async_ui.sql`.
    Ui,
}

/// Which roles may call or read an object. The owner of the schema may always.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Roles {
    /// Clients, and administrators.
    Clients,
    /// Administrators.
    Administrators,
    /// Nobody but the owner.
    Owner,
}

/// One function or procedure.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) name: String,
    pub(super) is_procedure: bool,
    pub(super) arguments: Vec<String>,
    pub(super) returns: Option<String>,
    pub(super) comment: String,
    pub(super) place: Place,
    pub(super) roles: Roles,
}

/// One table, view or composite type.
#[derive(Debug)]
pub(super) struct Relation {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) comment: String,
    pub(super) place: Place,
    pub(super) roles: Roles,
    pub(super) columns: Vec<Column>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Table,
    View,
    Composite,
}

/// One column.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) of_type: String,
    pub(super) default: Option<String>,
    pub(super) comment: String,
    pub(super) roles: Roles,
}

/// One enumerated type.
#[derive(Debug)]
pub(super) struct Enumeration {
    pub(super) name: String,
    pub(super) labels: Vec<String>,
    pub(super) comment: String,
}

/// One key of a configuration.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) section: String,
    pub(super) name: String,
    pub(super) kind: String,
}

/// What `async.configure` says of a wrong value of a kind.
#[derive(Debug)]
pub(super) struct Refusals {
    pub(super) kind: String,
    pub(super) messages: Vec<String>,
}

/// The whole catalog of the schema.
#[derive(Debug)]
pub(super) struct Catalog {
    pub(super) calls: Vec<Call>,
    pub(super) relations: Vec<Relation>,
    pub(super) enumerations: Vec<Enumeration>,
    pub(super) keys: Vec<Key>,
    pub(super) refusals: Vec<Refusals>,
}

const OBJECTS: &str = "
    select 'call ' || p.oid::regprocedure from pg_proc p where p.pronamespace = 'async'::regnamespace
    union all
    select 'relation ' || c.oid::regclass from pg_class c where c.relnamespace = 'async'::regnamespace";

// An argument of a function that returns a table is a column of the result, and stands there.
const CALLS: &str = "
    select p.oid::regprocedure::text as identity, p.proname::text as name, p.prokind = 'p' as is_procedure,
      pg_get_function_result(p.oid) as returns, coalesce(obj_description(p.oid, 'pg_proc'), '') as comment,
      has_function_privilege($1, p.oid, 'execute') as for_clients,
      has_function_privilege($2, p.oid, 'execute') as for_administrators,
      array(
        select case a.mode when 'v' then 'variadic ' when 'o' then 'out ' when 'b' then 'inout ' else '' end
          || a.name || ' ' || format_type(a.type, null)
          || coalesce(' default ' || pg_get_function_arg_default(p.oid, a.place::int), '')
        from unnest(coalesce(p.proallargtypes, p.proargtypes::oid[]), p.proargnames, p.proargmodes)
          with ordinality as a(type, name, mode, place)
        where a.type is not null and a.mode is distinct from 't'
        order by a.place) as arguments
    from pg_proc p
    where p.pronamespace = 'async'::regnamespace
    order by p.proname collate \"C\", p.pronargs desc, p.oid::regprocedure::text collate \"C\"";

const RELATIONS: &str = "
    select c.oid::regclass::text as identity, c.relname::text as name, c.relkind::text as kind,
      coalesce(case c.relkind when 'c' then obj_description(c.reltype, 'pg_type')
        else obj_description(c.oid, 'pg_class') end, '') as comment,
      a.attname::text as column, format_type(a.atttypid, a.atttypmod) as type, pg_get_expr(d.adbin, d.adrelid) as default,
      coalesce(col_description(c.oid, a.attnum), '') as column_comment,
      has_column_privilege($1, c.oid, a.attnum, 'select') as for_clients,
      has_column_privilege($2, c.oid, a.attnum, 'select') as for_administrators
    from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
    where c.relnamespace = 'async'::regnamespace and c.relkind in ('r', 'v', 'c')
    order by c.relname collate \"C\", a.attnum";

const ENUMERATIONS: &str = "
    select t.typname::text as name, array_agg(e.enumlabel::text order by e.enumsortorder) as labels,
      coalesce(obj_description(t.oid, 'pg_type'), '') as comment
    from pg_type t
    join pg_enum e on e.enumtypid = t.oid
    where t.typnamespace = 'async'::regnamespace
    group by t.oid
    order by t.typname collate \"C\"";

// The message, or null if the value is accepted.
const CHECK: &str = "
    create function pg_temp.refusal(in_kind text, in_value jsonb) returns text language plpgsql as $$
    begin
      perform async.check_setting('path', in_kind, in_value);
      return null;
    exception
      when sqlstate 'PA060' then
        return substr(sqlerrm, length('path: ') + 1);
    end $$";

/// Values that some kinds refuse.
const WRONG: [&str; 11] = [
    "{}",
    "1e10",
    "-1",
    "0",
    "1.0005",
    r#""""#,
    r#""no""#,
    r#""none""#,
    r#""-1 s""#,
    r#""password=${ENV:PGASYNC_SECRET_X}""#,
    r#"[""]"#,
];

impl Catalog {
    /// That of a new installation.
    pub(super) async fn read() -> Self {
        let scratch = Scratch::empty(&Cluster::shared()).await;
        let session = scratch.connect().await;
        let mut places = BTreeMap::new();
        for (part, place) in
            [(SchemaPart::Client, Place::Everywhere), (SchemaPart::Server, Place::Server), (SchemaPart::Ui, Place::Ui)]
        {
            install(&session, part).await.expect("it installs");
            for row in session.query(OBJECTS, &[]).await.expect("objects") {
                places.entry(row.get::<_, String>(0)).or_insert(place);
            }
        }
        let roles = [format!("{}_client", scratch.name()), format!("{}_admin", scratch.name())];
        let [client, admin] = &roles;
        session
            .batch_execute(&format!(
                "create role {client}; select async.grant_client('{client}');
                 create role {admin}; select async.grant_admin('{admin}'); {CHECK}"
            ))
            .await
            .expect("roles");
        let calls = session.query(CALLS, &[client, admin]).await.expect("calls");
        let relations = session.query(RELATIONS, &[client, admin]).await.expect("relations");
        let catalog = Self {
            calls: calls.iter().map(|row| call(row, &places)).filter(|call| is_public(&call.comment)).collect(),
            relations: collect_relations(&relations, &places),
            enumerations: session.query(ENUMERATIONS, &[]).await.expect("types").iter().map(enumeration).collect(),
            keys: session
                .query("select * from async.configuration_keys()", &[])
                .await
                .expect("keys")
                .iter()
                .map(key)
                .collect(),
            refusals: refusals(&session).await,
        };
        for role in &roles {
            session.batch_execute(&format!("drop owned by {role}; drop role {role}")).await.expect("no role");
        }
        catalog
    }

    /// The table or view of this name.
    pub(super) fn relation(&self, name: &str) -> &Relation {
        self.relations.iter().find(|relation| relation.name == name).unwrap_or_else(|| panic!("there is no {name}"))
    }
}

/// Whether an object with this comment belongs to the contract.
fn is_public(comment: &str) -> bool {
    !comment.is_empty() && !comment.starts_with(INTERNAL)
}

fn roles_of(row: &Row) -> Roles {
    match (row.get("for_clients"), row.get("for_administrators")) {
        (true, _) => Roles::Clients,
        (false, true) => Roles::Administrators,
        (false, false) => Roles::Owner,
    }
}

fn call(row: &Row, places: &BTreeMap<String, Place>) -> Call {
    let identity: String = row.get("identity");
    Call {
        name: row.get("name"),
        is_procedure: row.get("is_procedure"),
        arguments: row.get("arguments"),
        returns: row.get("returns"),
        comment: row.get("comment"),
        place: places[&format!("call {identity}")],
        roles: roles_of(row),
    }
}

fn collect_relations(rows: &[Row], places: &BTreeMap<String, Place>) -> Vec<Relation> {
    let mut relations: Vec<Relation> = Vec::new();
    for row in rows {
        let (name, roles): (String, _) = (row.get("name"), roles_of(row));
        if relations.last().is_none_or(|relation| relation.name != name) {
            let kind = match row.get("kind") {
                "r" => Kind::Table,
                "v" => Kind::View,
                _ => Kind::Composite,
            };
            let place = places[&format!("relation {}", row.get::<_, &str>("identity"))];
            relations.push(Relation { name, kind, comment: row.get("comment"), place, roles, columns: Vec::new() });
        }
        let relation = relations.last_mut().expect("one was pushed");
        // Who may read any column may read the table, as far as a client is concerned.
        relation.roles = relation.roles.min(roles);
        relation.columns.push(Column {
            name: row.get("column"),
            of_type: row.get("type"),
            default: row.get("default"),
            comment: row.get("column_comment"),
            roles,
        });
    }
    relations.retain(|relation| is_public(&relation.comment));
    relations
}

fn enumeration(row: &Row) -> Enumeration {
    Enumeration { name: row.get("name"), labels: row.get("labels"), comment: row.get("comment") }
}

fn key(row: &Row) -> Key {
    Key { section: row.get("out_section"), name: row.get("out_key"), kind: row.get("out_kind") }
}

/// Each kind in the order of its first key, with the messages of the values that it refuses.
async fn refusals(session: &Session) -> Vec<Refusals> {
    let rows = session
        .query(
            "select k.out_kind, array(
               select (array_agg(m.said order by v.place))[1]
               from unnest($1::text[]) with ordinality as v(value, place), pg_temp.refusal(k.out_kind, v.value::jsonb) as m(said)
               where m.said is not null
               group by regexp_replace(m.said, '(, not |''|, and is ).*', '')
               order by min(v.place))
             from (select kind.out_kind, min(kind.place) as place
               from async.configuration_keys() with ordinality as kind(out_section, out_key, out_kind, place)
               where kind.out_kind <> 'ignored'
               group by kind.out_kind) k
             order by k.place",
            &[&WRONG.map(str::to_owned).to_vec()],
        )
        .await
        .expect("refusals");
    rows.iter().map(|row| Refusals { kind: row.get(0), messages: row.get(1) }).collect()
}
