//! Triggers, constraints and routines of users.

use super::{Stated, null, stated};

/// Triggers and constraints of users.
pub(super) const TRIGGERS: &[Stated] = &[
    stated("", "async.has_user_triggers()", "false"),
    null("", "async.defer_constraints()"),
    stated(
        "create trigger a before update on async.task for each row execute procedure judged.do_nothing()",
        "async.has_user_triggers()",
        "true",
    ),
    stated(
        "create trigger a before update on async.task for each row execute procedure judged.do_nothing();
         alter table async.task disable trigger a",
        "async.has_user_triggers()",
        "false",
    ),
    stated(
        "create trigger a before update on async.request for each row execute procedure judged.do_nothing()",
        "async.has_user_triggers()",
        "false",
    ),
    // A foreign key that refers to tasks has internal triggers, and nothing to check when a task is
    // updated.
    stated("create table judged.child (task_id bigint references async.task)", "async.has_user_triggers()", "false"),
    stated(
        "alter table async.task add constraint a unique (task_id, run) deferrable initially deferred",
        "async.has_user_triggers()",
        "true",
    ),
    stated(
        "alter table async.task add constraint a unique (task_id, run) deferrable initially deferred",
        "async.defer_constraints()",
        "set constraints async.a deferred",
    ),
    null(
        "alter table async.task add constraint a unique (task_id, run) deferrable initially immediate",
        "async.defer_constraints()",
    ),
    stated(
        "create table judged.\"B c\" (i int, constraint d unique (i) deferrable initially deferred);
         create table judged.e (i int, constraint f check (i > 0))",
        "async.defer_constraints()",
        "set constraints judged.d deferred",
    ),
    // Another constraint, which cannot be deferred, has the same name.
    null(
        "create table judged.b (i int, constraint d unique (i) deferrable initially deferred);
         create table judged.e (i int, constraint d check (i > 0))",
        "async.defer_constraints()",
    ),
];

/// The effects of calls in routines and triggers of users, for a leader in another process and for
/// the SQL engine.
pub(super) const ROUTINES: &[Stated] = &[
    stated("", "async.take_changed_tasks()", "{}"),
    stated("select async.note_changed_tasks('{}')", "async.take_changed_tasks()", "{}"),
    stated(
        "select async.note_changed_tasks('{3,1}'); select async.note_changed_tasks('{2,3}')",
        "(select array_agg(i order by i) from unnest(async.take_changed_tasks()) i)",
        "{1,2,3}",
    ),
    stated(
        "select async.note_changed_tasks('{3,1}'); select async.take_changed_tasks()",
        "async.take_changed_tasks()",
        "{}",
    ),
    stated("select async.note_changed_tasks('{4}')", "async.take_changed_tasks()", "{4}"),
    stated(
        "select async.note_changed_tasks('{4}'); select async.note_changed_tasks('{}')",
        "async.take_changed_tasks()",
        "{4}",
    ),
    stated(
        "create temp table leader_state (); select async.note_changed_tasks('{3,1}')",
        "async.take_changed_tasks()",
        "{}",
    ),
    stated("", "(select array_agg(t.outcome) from async.changed_task_rows() t)", "{triggers}"),
    null("create temp table leader_state ()", "(select array_agg(t.outcome) from async.changed_task_rows() t)"),
    stated(
        "select judged.queue(); select async.note_changed_tasks('{2,9}')",
        "(select array_agg(concat_ws(' ', t.task_id, t.outcome, t.row_run) order by t.task_id) from async.changed_task_rows() t)",
        "{\"2 touched 1\",\"9 touched\",triggers}",
    ),
    stated("", "async.finish_internal('{1}', 'FINISHED', 'f', null)", "ERROR PA201"),
    stated("select judged.lead()", "async.finish_internal('{1}', null, 'f', null)", "ERROR PA202"),
    stated("select judged.lead()", "async.finish_internal('{1}', 'DEFERRED', 'f', null)", "ERROR PA203"),
    stated("select judged.finish('CANCELED', null)", "judged.became(1)", "processed CANCELED why"),
    stated("select judged.finish('CANCELED', null)", "judged.became(2)", "request CANCELED why"),
    stated("select judged.finish('CANCELED', null)", "judged.became(3)", "processed CANCELED why"),
    stated("select judged.finish('CANCELED', null)", "judged.became(4)", "processed FINISHED"),
    stated("select judged.finish('CANCELED', null)", "judged.became(5)", "processed CANCELED why"),
    stated("select judged.finish('CANCELED', null)", "judged.became(6)", "ready"),
    stated("select judged.finish('CANCELED', null)", "judged.became(7)", "unfinished"),
    stated("select judged.finish('CANCELED', null)", "(select count(*) from async.request)", "1"),
    stated("select judged.finish('DEFERRED', '1 day')", "judged.became(2)", "request DEFERRED why 1 day"),
    stated("select judged.finish('DEFERRED', '1 day')", "judged.became(3)", "deferred"),
    stated(
        "select judged.finish('CANCELED', null)",
        "(select array_agg(i order by i) from unnest(async.take_changed_tasks()) i)",
        "{1,3,5}",
    ),
    // A call in a trigger without a status has the effect of the end of the query.
    stated("select judged.finish_in_trigger()", "judged.became(1)", "processed FINISHED why"),
    stated("select judged.finish_in_trigger()", "judged.became(2)", "request FINISHED why"),
    stated("select judged.finish_in_trigger()", "judged.became(7)", "request YIELDED why"),
    // A row that cannot be written gets a request.
    stated(
        "select judged.refuse_writes_of(3); select judged.finish('CANCELED', null)",
        "judged.became(3)",
        "request CANCELED why",
    ),
    stated(
        "select judged.refuse_writes_of(3); select judged.finish('CANCELED', null)",
        "(select count(*) from async.request)",
        "2",
    ),
    // A trigger that changes a row does not cause a request.
    stated(
        "create trigger judge_before before update on async.task for each row execute procedure judged.rewrite();
         select judged.finish('CANCELED', null)",
        "(select count(*) from async.request)",
        "1",
    ),
];
