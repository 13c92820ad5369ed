//! `pgasync uninstall`: drops the schema.

use clap::Args;
use pgasync_pg::Session;

use crate::args::ServerArgs;
use crate::confirm::ConfirmArgs;
use crate::failure::{Exit, Failure};
use crate::server::Server;
use crate::visible;

#[derive(Args, Debug)]
#[command(after_help = "\
Drops the schema async with all tasks, results, settings, schedules and the log, and the objects of others
that depend on it, which the question names. Targets and what tasks did there stay. So do roles and the
extension dblink. It is refused while an orchestrator leads: pgasync stop.

Examples:
  pgasync uninstall
  pgasync uninstall --yes")]
pub(crate) struct UninstallArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    confirm: ConfirmArgs,
}

/// Views and tables of other schemas that a cascade would change or drop.
const DEPENDENTS: &str = "select distinct x.kind || ' ' || x.object::pg_catalog.regclass::pg_catalog.text as dependent
  from (
    select 'view' as kind, r.ev_class as object, d.refobjid
    from pg_catalog.pg_depend d join pg_catalog.pg_rewrite r on r.oid = d.objid
    where d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
      and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
    union all
    select 'foreign key of', c.conrelid, c.confrelid from pg_catalog.pg_constraint c where c.contype = 'f'
  ) x
  join pg_catalog.pg_class theirs on theirs.oid = x.object
  join pg_catalog.pg_class ours on ours.oid = x.refobjid
  where ours.relnamespace = 'async'::pg_catalog.regnamespace
    and theirs.relnamespace <> 'async'::pg_catalog.regnamespace
  order by 1";

pub(crate) async fn run(arguments: &UninstallArgs) -> Result<Exit, Failure> {
    let server = arguments.server.open()?;
    let done = uninstall(&server, arguments).await;
    server.explained(done).await
}

async fn uninstall(server: &Server, arguments: &UninstallArgs) -> Result<Exit, Failure> {
    let installed = server.installation().await?;
    if !installed.schema || !installed.client {
        return Err(server.missing(&installed));
    }
    if !installed.owned {
        return Err(server.not_owned(&installed));
    }
    if installed.server && server.client.leader().await.is_ok_and(|leader| leader.leads) {
        return Err(
            Failure::new(Exit::AnotherLeads, "an orchestrator leads").hint("pgasync stop waits until none does")
        );
    }
    let session = server.connect().await?;
    arguments.confirm.ask(&question(server, &session, installed.server).await?)?;
    session.batch_execute("set lock_timeout = '10s'; drop schema async cascade").await?;
    crate::print::write(&format!("pgasync is removed from {}\n", visible::line(&server.settings.describe())))?;
    Ok(Exit::Done)
}

async fn question(server: &Server, session: &Session, has_tasks: bool) -> Result<String, Failure> {
    let mut text = format!("Drop the schema async at {}", server.settings.describe());
    if has_tasks {
        let sql = "select pg_catalog.count(*), pg_catalog.count(*) filter (where processed is null) from async.task";
        let row = session.query_one(sql, &[]).await?;
        text += &format!(", with {} tasks, {} of them unfinished", row.get::<_, i64>(0), row.get::<_, i64>(1));
    }
    let dependents: Vec<String> = session.query(DEPENDENTS, &[]).await?.iter().map(|row| row.get(0)).collect();
    if !dependents.is_empty() {
        text += &format!(", and what depends on it: {}", dependents.join(", "));
    }
    Ok(format!("{text}?"))
}
