//! The filter of tasks in a query string: the options of `pgasync tasks`, with the same names.

use pgasync_core::{FinishStatus, RowState, TaskId};
use pgasync_store::TaskFilter;
use pgasync_text::duration;

use crate::form::Form;

/// The names of the fields of a filter.
pub(crate) const FIELDS: [&str; 11] =
    ["phase", "status", "failed", "target", "pool", "source", "text", "newer-than", "older-than", "ended", "id"];

/// The phases, and `unfinished` for all but the last.
pub(crate) const PHASES: [(&str, &[RowState]); 5] = [
    ("unfinished", &[RowState::Ready, RowState::Running, RowState::Yielded]),
    ("ready", &[RowState::Ready]),
    ("running", &[RowState::Running]),
    ("yielded", &[RowState::Yielded]),
    ("finished", &[RowState::Finished]),
];

const IDS_MAX: usize = 1_000;
const NAMES_MAX: usize = 100;

/// The filter of a query string or a form.
///
/// # Errors
/// A sentence that names the field and its value.
pub(crate) fn read(form: &Form) -> Result<TaskFilter, String> {
    let mut filter = TaskFilter::default();
    for text in form.all("phase").flat_map(|text| text.split(',')) {
        let known = PHASES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        let (_, phases) = known.ok_or_else(|| format!("phase: there is no phase \"{text}\""))?;
        filter.phases.extend_from_slice(phases);
    }
    for text in form.all("status").flat_map(|text| text.split(',')) {
        let label = text.to_ascii_uppercase().replace('-', "_");
        let known = FinishStatus::ALL.into_iter().find(|status| status.as_str() == label);
        filter.statuses.push(known.ok_or_else(|| format!("status: there is no status \"{text}\""))?);
    }
    filter.failed = form.get("failed").map(|text| text != "0");
    filter.targets = names(form, "target")?;
    filter.pools = names(form, "pool")?;
    filter.sources = names(form, "source")?;
    filter.text = form.get("text").map(str::to_owned);
    let span = |name: &str| form.get(name).map(duration::span).transpose().map_err(|error| format!("{name}: {error}"));
    filter.newer_than = span("newer-than")?;
    filter.older_than = span("older-than")?;
    filter.ended_within = span("ended")?;
    for text in form.all("id").flat_map(|text| text.split([',', ' '])).filter(|text| !text.is_empty()) {
        let id = text.parse().ok().filter(|id: &i64| *id > 0);
        filter.tasks.push(TaskId(id.ok_or_else(|| format!("id: \"{text}\" is no id of a task"))?));
    }
    if filter.tasks.len() > IDS_MAX {
        return Err(format!("id: more than {IDS_MAX} ids"));
    }
    Ok(filter)
}

fn names(form: &Form, field: &str) -> Result<Vec<String>, String> {
    let names: Vec<String> = form.all(field).map(str::to_owned).collect();
    if names.len() > NAMES_MAX { Err(format!("{field}: more than {NAMES_MAX} names")) } else { Ok(names) }
}

/// The pairs of the filter that are set, for links and forms.
pub(crate) fn pairs(form: &Form) -> Vec<(&str, &str)> {
    form.pairs().filter(|(name, value)| FIELDS.contains(name) && !value.trim().is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use pgasync_core::Span;

    use super::*;

    #[test]
    fn a_filter_is_read_from_a_query_string() {
        let form =
            Form::read(b"phase=ready,running&status=failed&failed=1&target=a&target=b&text=%25x+y&ended=1h&id=4,5");
        let filter = TaskFilter {
            tasks: vec![TaskId(4), TaskId(5)],
            phases: vec![RowState::Ready, RowState::Running],
            statuses: vec![FinishStatus::Failed],
            failed: Some(true),
            targets: vec!["a".to_owned(), "b".to_owned()],
            text: Some("%x y".to_owned()),
            ended_within: Some(Span::seconds(3_600)),
            ..TaskFilter::default()
        };
        assert_eq!(read(&form), Ok(filter));
        assert_eq!(read(&Form::read(b"phase=&target=+&before=3")), Ok(TaskFilter::default()));
    }

    #[test]
    fn a_wrong_field_is_named() {
        for (query, field) in [
            ("phase=later", "phase"),
            ("status=good", "status"),
            ("newer-than=soon", "newer-than"),
            ("ended=-1h", "ended"),
            ("id=0", "id"),
            ("id=1;drop", "id"),
            ("id=99999999999999999999", "id"),
        ] {
            let error = read(&Form::read(query.as_bytes())).expect_err(query);
            assert!(error.starts_with(field), "{query}: {error}");
        }
    }
}
