//! Connections: how many pgasync may open at a server, and how many that server admits.

use std::collections::BTreeMap;

use pgasync_pg::types::Type;
use pgasync_pg::{Row, Session};

use super::{Finding, row_of};
use crate::failure::Failure;

/// What limits the connections of a role (`$1`, or the present one), how many it admits, and how many others have now. A superuser is
/// bound by max_connections alone. Backends without a role are workers of Postgres.
const LIMITS: &str = "with present as (
    select a.datname, a.usename, a.application_name from pg_catalog.pg_stat_activity a
    where a.datid is not null and a.usesysid is not null and a.application_name not like 'pgasync%'
  ), me as (
    select r.rolname, r.rolsuper, r.rolconnlimit, d.datname, d.datconnlimit
    from pg_catalog.pg_roles r, pg_catalog.pg_database d
    where r.rolname = coalesce($1, current_user) and d.datname = pg_catalog.current_database()
  ), reserved as (
    select case when m.rolsuper then 0 else pg_catalog.current_setting('superuser_reserved_connections')::pg_catalog.int8
      + coalesce(pg_catalog.current_setting('reserved_connections', true)::pg_catalog.int8, 0) end as connections
    from me m
  )
  select 'max_connections' || case when r.connections > 0 then pg_catalog.format(' without the %s reserved ones', r.connections)
      else '' end,
    pg_catalog.current_setting('max_connections')::pg_catalog.int8 - r.connections,
    (select pg_catalog.count(*) from present)
  from reserved r
  union all
  select pg_catalog.format('the connection limit of the role %I', m.rolname), m.rolconnlimit::pg_catalog.int8,
    (select pg_catalog.count(*) from present p where p.usename = m.rolname)
  from me m where m.rolconnlimit >= 0 and not m.rolsuper
  union all
  select pg_catalog.format('the connection limit of the database %I', m.datname), m.datconnlimit::pg_catalog.int8,
    (select pg_catalog.count(*) from present p where p.datname = m.datname)
  from me m where m.datconnlimit >= 0 and not m.rolsuper";

/// A server, known by its start and its port.
const INSTANCE: &str = "select pg_catalog.pg_postmaster_start_time()::pg_catalog.text,
    pg_catalog.current_setting('port')";

/// One limit on the connections of a role.
#[derive(Clone, Debug)]
pub(super) struct Limit {
    what: String,
    admitted: i64,
    others: i64,
}

/// A running server. Several targets, and the server of pgasync itself, may be databases of one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Instance(String, String);

/// The sessions that pgasync may open at each instance, and the limits there.
#[derive(Debug, Default)]
pub(super) struct Demand(BTreeMap<Instance, Place>);

#[derive(Debug, Default)]
struct Place {
    /// The sessions of the leader itself.
    own: i64,
    targets: Vec<String>,
    at_targets: i64,
    limit: Option<Limit>,
}

pub(super) async fn limits(session: &Session, role: Option<&str>) -> Result<Vec<Limit>, Failure> {
    Ok(session.query_typed(LIMITS, &[(&role, Type::TEXT)]).await?.iter().map(limit).collect())
}

fn limit(row: &Row) -> Limit {
    Limit { what: row.get(0), admitted: row.get(1), others: row.get(2) }
}

pub(super) async fn instance(session: &Session) -> Result<Instance, Failure> {
    let row = row_of(session, INSTANCE).await?;
    Ok(Instance(row.get(0), row.get(1)))
}

/// The first limit that does not admit these sessions beside those of others.
pub(super) fn exceeded(limits: &[Limit], sessions: i64) -> Option<String> {
    let limit = limits.iter().find(|limit| sessions + limit.others > limit.admitted)?;
    Some(format!("{} admits {}, of which others have {} now", limit.what, limit.admitted, limit.others))
}

impl Demand {
    /// The sessions of the leader at its own server, which do not run tasks.
    pub(super) fn add_own(&mut self, instance: Instance, sessions: i64, limits: &[Limit]) {
        let place = self.0.entry(instance).or_default();
        place.own += sessions;
        place.limit = limits.first().cloned();
    }

    pub(super) fn add_target(&mut self, instance: Instance, target: &str, sessions: i64, limits: &[Limit]) {
        let place = self.0.entry(instance).or_default();
        place.targets.push(target.to_owned());
        place.at_targets += sessions;
        place.limit = place.limit.take().or_else(|| limits.first().cloned());
    }

    /// Instances whose max_connections is too small for all that pgasync may open there. What one target
    /// exceeds alone is a finding of that target.
    pub(super) fn findings(&self, workers: i64) -> Vec<Finding> {
        let of = |place: &Place| {
            let at_targets = place.at_targets.min(workers);
            let sessions = place.own + at_targets;
            let is_shared = place.targets.len() + usize::from(place.own > 0) > 1;
            let why = exceeded(place.limit.as_slice(), sessions).filter(|_| is_shared)?;
            let own = if place.own > 0 { format!("{} of the leader and ", place.own) } else { String::new() };
            Some(Finding::warning(
                "connections",
                format!("{own}{at_targets} at the targets {} are of one server: {why}", place.targets.join(", ")),
                "raise max_connections there, or lower control.workers, or max_sessions of the targets",
            ))
        };
        self.0.values().filter_map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(admitted: i64, others: i64) -> Vec<Limit> {
        vec![Limit { what: "max_connections".to_owned(), admitted, others }]
    }

    #[test]
    fn others_count_against_a_limit() {
        assert_eq!(exceeded(&limits(10, 4), 6), None);
        let text = exceeded(&limits(10, 5), 6).expect("11 of 10");
        assert_eq!(text, "max_connections admits 10, of which others have 5 now");
    }

    #[test]
    fn targets_of_one_server_share_its_connections() {
        let here = Instance("now".to_owned(), "5432".to_owned());
        let mut demand = Demand::default();
        demand.add_target(here.clone(), "a", 8, &limits(10, 0));
        assert!(demand.findings(100).is_empty(), "one target is a finding of its own");
        demand.add_target(here.clone(), "b", 8, &limits(10, 0));
        assert_eq!(demand.findings(100).len(), 1);
        assert!(demand.findings(10).is_empty(), "no more than the workers run at once");
        demand.add_own(here, 4, &limits(10, 0));
        assert!(demand.findings(10)[0].finding.contains("4 of the leader and 10 at the targets a, b"));
    }
}
