//! What is installed in a database, read from the catalog only.

use super::Client;
use super::error::CallError;

/// The catalog answers without a privilege on the schema, and without the schema.
const READ: &str = "select n.oid is not null as schema,
    coalesce(pg_catalog.has_schema_privilege(n.oid, 'usage'), false) as usable,
    coalesce(pg_catalog.pg_has_role(n.nspowner, 'usage'), false) as owned,
    exists (select from pg_catalog.pg_class c
      where c.relnamespace operator(pg_catalog.=) n.oid and c.relname operator(pg_catalog.=) 'control') as server,
    exists (select from pg_catalog.pg_class c
      where c.relnamespace operator(pg_catalog.=) n.oid
        and c.relname operator(pg_catalog.=) 'client_control') as client,
    (select pg_catalog.btrim(pg_catalog.substring(p.prosrc, '''[^'']*'''), '''')
     from pg_catalog.pg_proc p
     where p.pronamespace operator(pg_catalog.=) n.oid
       and p.proname operator(pg_catalog.=) 'schema_fingerprint') as fingerprint,
    pg_catalog.pg_get_userbyid(n.nspowner)::pg_catalog.text as owner,
    current_user::pg_catalog.text as role,
    pg_catalog.current_setting('server_version_num')::pg_catalog.int4 as version,
    pg_catalog.pg_is_in_recovery() as standby
  from (values (1)) one(row)
  left join pg_catalog.pg_namespace n on n.nspname operator(pg_catalog.=) 'async'";

/// What a database has of pgasync, and what the role of the session may do there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    /// The role of the session.
    pub role: String,
    /// The role that owns the schema.
    pub owner: Option<String>,
    /// Whether the schema `async` exists.
    pub schema: bool,
    /// Whether it has the server part; otherwise the database is a client database.
    pub server: bool,
    /// Whether it has the client part of pgasync, so that the schema is not one of another program.
    pub client: bool,
    /// Whether the role may use the schema.
    pub usable: bool,
    /// Whether the role has the privileges of its owner.
    pub owned: bool,
    /// The version of the server part.
    pub fingerprint: Option<String>,
    /// `server_version_num`.
    pub postgres: i32,
    /// Whether the database is on a standby.
    pub standby: bool,
}

impl Installation {
    /// Whether the server part is of the version of this crate.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.fingerprint.as_deref() == Some(&**pgasync_sql::FINGERPRINT)
    }
}

impl Client {
    /// What is installed in the database. Any role may call this.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn installation(&self) -> Result<Installation, CallError> {
        let rows = self.query("reading what is installed", READ, &[]).await?;
        let row = rows.first().expect("a query without a condition returns a row");
        Ok(Installation {
            role: row.get("role"),
            owner: row.get("owner"),
            schema: row.get("schema"),
            server: row.get("server"),
            client: row.get("client"),
            usable: row.get("usable"),
            owned: row.get("owned"),
            fingerprint: row.get("fingerprint"),
            postgres: row.get("version"),
            standby: row.get("standby"),
        })
    }
}
