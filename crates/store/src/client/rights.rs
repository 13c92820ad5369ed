//! What the role of the sessions may do, read from the catalog.

use super::Client;
use super::error::CallError;

/// A function that does not exist may not be called, so a client database answers too.
const READ: &str = "select
    coalesce(bool_or(f.may) filter (where f.name operator(pg_catalog.=) 'finish'), false),
    coalesce(bool_or(f.may) filter (where f.name operator(pg_catalog.=) 'restart'), false),
    coalesce(bool_or(f.may) filter (where f.name operator(pg_catalog.=) 'push_many'), false),
    coalesce(bool_or(f.may) filter (where f.name operator(pg_catalog.=) 'pause_schedule'), false),
    coalesce(bool_or(f.may) filter (where f.name operator(pg_catalog.=) 'set_pool'), false),
    coalesce(bool_or(f.may) filter (where f.name operator(pg_catalog.=) 'tail_once'), false),
    (select coalesce(bool_and(pg_catalog.has_table_privilege(c.oid, 'select')), false)
     from pg_catalog.pg_class c
     where c.relnamespace operator(pg_catalog.=) n.oid
       and c.relname operator(pg_catalog.=) any (array['v_leader', 'v_pool', 'v_target', 'v_target_state',
         'v_why_waiting', 'v_failure']::pg_catalog.name[])),
    coalesce((select pg_catalog.has_any_column_privilege(c.oid, 'select')
     from pg_catalog.pg_class c
     where c.relnamespace operator(pg_catalog.=) n.oid and c.relname operator(pg_catalog.=) 'task'), false),
    coalesce((select pg_catalog.has_table_privilege(c.oid, 'select')
     from pg_catalog.pg_class c
     where c.relnamespace operator(pg_catalog.=) n.oid and c.relname operator(pg_catalog.=) 'v_schedule'), false)
  from pg_catalog.pg_namespace n
  left join lateral (
    select p.proname::pg_catalog.text as name, pg_catalog.has_function_privilege(p.oid, 'execute') as may
    from pg_catalog.pg_proc p
    where p.pronamespace operator(pg_catalog.=) n.oid
  ) f on true
  where n.nspname operator(pg_catalog.=) 'async'
    and pg_catalog.has_schema_privilege(n.oid, 'usage')
  group by n.oid";

/// What a role may do. The targets of its grants are not part of it.
#[allow(clippy::struct_excessive_bools, reason = "each privilege stands for itself")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// Cancel, finish and defer tasks.
    pub finish: bool,
    /// Restart tasks.
    pub restart: bool,
    /// Push tasks.
    pub push: bool,
    /// Pause and resume schedules of its own, and others as an administrator.
    pub schedule: bool,
    /// Change the configuration.
    pub configure: bool,
    /// Read the log.
    pub log: bool,
    /// Read the views about pools, targets and the leader.
    pub views: bool,
    /// Read tasks.
    pub tasks: bool,
    /// Read schedules.
    pub schedules: bool,
}

impl Client {
    /// What the role of the sessions may do. A role without any privilege may ask.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn rights(&self) -> Result<Rights, CallError> {
        let rows = self.query("reading the rights of the role", READ, &[]).await?;
        let Some(row) = rows.first() else { return Ok(Rights::default()) };
        Ok(Rights {
            finish: row.get(0),
            restart: row.get(1),
            push: row.get(2),
            schedule: row.get(3),
            configure: row.get(4),
            log: row.get(5),
            views: row.get(6),
            tasks: row.get(7),
            schedules: row.get(8),
        })
    }
}
