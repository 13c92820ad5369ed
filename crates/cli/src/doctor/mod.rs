//! `pgasync doctor`: what is wrong or will be, each finding with its fix.

mod client_check;
mod connections;
mod poolers;
mod server_checks;
mod target_checks;

use std::time::Instant;

use clap::Args;

use pgasync_pg::{Row, Session};

use self::connections::Demand;
use crate::args::ServerArgs;
use crate::failure::{Exit, Failure};
use crate::output::{Cell, Column, Format, Listing, OutputArgs};
use crate::server::Server;
use crate::visible;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  pgasync doctor
  pgasync doctor -o json

It reads only. The owner of the schema can also let it connect to each target from this host; an
administrator cannot, because it may not read passwords. Ends with 0 if nothing is an error.")]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Severity {
    /// Tasks do not run, or will not.
    Error,
    /// Something will hurt under load or after a failure.
    Warning,
    /// Checked, and as it should be.
    Good,
}

#[derive(Debug)]
struct Finding {
    severity: Severity,
    about: String,
    finding: String,
    fix: Option<String>,
}

impl Finding {
    fn good(about: impl Into<String>, finding: impl Into<String>) -> Self {
        Self { severity: Severity::Good, about: about.into(), finding: finding.into(), fix: None }
    }

    fn warning(about: impl Into<String>, finding: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, about: about.into(), finding: finding.into(), fix: Some(fix.into()) }
    }

    fn error(about: impl Into<String>, finding: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { severity: Severity::Error, about: about.into(), finding: finding.into(), fix: Some(fix.into()) }
    }
}

pub(crate) async fn run(arguments: &DoctorArgs) -> Result<Exit, Failure> {
    let server = arguments.server.open()?;
    let found = examine(&server).await;
    let mut findings = server.explained(found).await?;
    findings.sort_by_key(|finding| finding.severity);
    write(&findings, arguments.output.output)?;
    let is_well = findings.iter().all(|finding| finding.severity != Severity::Error);
    Ok(if is_well { Exit::Done } else { Exit::Negative })
}

async fn examine(server: &Server) -> Result<Vec<Finding>, Failure> {
    let installed = server.require_tasks().await?;
    let begin = Instant::now();
    let session = server.connect().await?;
    let mut demand = Demand::default();
    let mut findings = server_checks::examine(server, &session, &installed, begin, &mut demand).await?;
    let targets = target_checks::examine(server, &session, &installed, &mut demand).await?;
    findings.extend(demand.findings(targets.workers));
    findings.extend(targets.findings);
    Ok(findings)
}

/// The row of a statement that has one. Prepares nothing, since a pooler may give the next statement to
/// another backend.
async fn row_of(session: &Session, sql: &str) -> Result<Row, Failure> {
    let rows = session.query_typed(sql, &[]).await?;
    rows.into_iter().next().ok_or_else(|| Failure::new(Exit::Negative, "the server returned no row"))
}

fn write(findings: &[Finding], format: Format) -> Result<(), Failure> {
    let columns = ["severity", "about", "finding", "fix"].map(|name| Column::new(name, name));
    let mut listing = Listing::new("findings", &columns);
    for finding in findings {
        let severity = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Good => "ok",
        };
        listing.add(vec![
            Cell::state(severity),
            finding.about.clone().into(),
            finding.finding.clone().into(),
            finding.fix.clone().into(),
        ]);
    }
    if format != Format::Table {
        return listing.write(format);
    }
    let style = crate::output::Style::of_stdout();
    let mut text = String::new();
    for (finding, row) in findings.iter().zip(&listing.rows) {
        let severity = match &row[0] {
            Cell::State(word, mood) => style.state(&format!("{word:<7}"), *mood),
            other => other.to_text(),
        };
        text += &format!("{severity} {}: {}\n", visible::line(&finding.about), visible::line(&finding.finding));
        if let Some(fix) = &finding.fix {
            text += &format!("        fix: {}\n", visible::line(fix));
        }
    }
    Ok(crate::print::write_styled(&text)?)
}
