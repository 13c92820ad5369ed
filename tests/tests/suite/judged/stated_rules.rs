//! Rules of the SQL side that the core does not have. Each is stated here as a table of questions
//! and answers. (Longer than 400 lines: one table.)

use pgasync_tests::Database;

use super::prepared_database;

/// A question about a function: statements that run first, an expression, and its value as text.
/// `ERROR` and an SQLSTATE stand for an error. Each question runs in its own transaction, which is
/// rolled back.
struct Stated {
    before: &'static str,
    question: &'static str,
    answer: Option<&'static str>,
}

const fn stated(before: &'static str, question: &'static str, answer: &'static str) -> Stated {
    Stated { before, question, answer: Some(answer) }
}

/// A question whose answer is null.
const fn null(before: &'static str, question: &'static str) -> Stated {
    Stated { before, question, answer: None }
}

/// Target sessions: the server at which they were registered, and whether they are gone.
const SESSIONS: &[Stated] = &[
    stated("", "async.is_registered_server(judged.session('{}'), '2026-01-01', '7')", "true"),
    stated(
        "",
        "async.is_registered_server(judged.session('{\"server_started\": \"2026-01-01\"}'), '2026-01-01', '7')",
        "true",
    ),
    stated(
        "",
        "async.is_registered_server(judged.session('{\"server_started\": \"2026-01-01\"}'), '2026-01-02', null)",
        "false",
    ),
    stated(
        "",
        "async.is_registered_server(judged.session('{\"server_started\": \"2026-01-01\"}'), null, '7')",
        "false",
    ),
    stated("", "async.is_registered_server(judged.known(), '2026-01-01', '7')", "true"),
    stated("", "async.is_registered_server(judged.known(), '2026-01-01', null)", "true"),
    stated("", "async.is_registered_server(judged.known(), '2026-01-01', '8')", "false"),
    stated("", "async.is_registered_server(judged.known(), '2026-01-02', '7')", "false"),
    // The same address and identifier, started after the session began.
    stated("", "async.is_replaced(judged.known(), '2026-01-04', '10.0.0.1', 5432, '7', 1, true, false)", "true"),
    stated("", "async.is_replaced(judged.known(), '2026-01-03', '10.0.0.1', 5432, '7', 1, true, false)", "false"),
    stated("", "async.is_replaced(judged.known(), null, '10.0.0.1', 5432, '7', 1, true, false)", "false"),
    stated("", "async.is_replaced(judged.known(), '2026-01-04', '10.0.0.2', 5432, '7', 1, true, false)", "false"),
    stated("", "async.is_replaced(judged.known(), '2026-01-04', '10.0.0.1', 5433, '7', 1, true, false)", "false"),
    stated("", "async.is_replaced(judged.known(), '2026-01-04', '10.0.0.1', 5432, '8', 1, true, false)", "false"),
    stated("", "async.is_replaced(judged.known(), '2026-01-04', null, 5432, '7', 1, true, false)", "false"),
    // Another host of the connection string accepts writes on a later timeline.
    stated("", "async.is_replaced(judged.known(), '2026-01-02', '10.0.0.2', 5432, '7', 2, true, true)", "true"),
    stated("", "async.is_replaced(judged.known(), '2026-01-02', '10.0.0.2', 5432, '7', 2, true, false)", "false"),
    stated("", "async.is_replaced(judged.known(), '2026-01-02', '10.0.0.2', 5432, '7', 1, true, true)", "false"),
    stated("", "async.is_replaced(judged.known(), '2026-01-02', '10.0.0.2', 5432, '7', 2, false, true)", "false"),
    stated("", "async.is_replaced(judged.known(), '2026-01-02', '10.0.0.2', 5432, '8', 2, true, true)", "false"),
    stated("", "async.is_replaced(judged.known(), '2026-01-02', '10.0.0.2', 5432, null, 2, true, true)", "false"),
    stated("", "async.is_replaced(judged.known(), '2026-01-02', '10.0.0.2', 5432, '7', null, true, true)", "false"),
    stated("delete from async.election", "async.last_moved_epoch()", "0"),
    stated(
        "delete from async.election; insert into async.election (epoch, nonce, moved) values (3, 'a', false)",
        "async.last_moved_epoch()",
        "0",
    ),
    stated(
        "delete from async.election; insert into async.election (epoch, nonce, moved)
           values (2, 'a', true), (4, 'b', true), (5, 'c', false)",
        "async.last_moved_epoch()",
        "4",
    ),
];

/// What the copy of a retry policy contains, which texts may be committed in part, and which attempts
/// each of the writers notes.
const RETRIES: &[Stated] = &[
    null("", "async.copy_retry_policy('r')"),
    stated(
        "insert into async.retry_policy (retry_policy) values ('r')",
        "async.copy_retry_policy('r')",
        "{\"name\": \"r\", \"jitter\": 0.1, \"backoff\": 2, \"delay_us\": 10000000, \"sqlstates\": [\"transient\"], \
         \"unreachable\": true, \"delay_max_us\": 3600000000, \"max_attempts\": 3}",
    ),
    stated(
        "insert into async.retry_policy values ('r', 7, '1.000001 s', 1, '2 mons', 0, '{40,any}', true, false, true, true)",
        "async.copy_retry_policy('r')",
        "{\"name\": \"r\", \"unknown\": true, \"delay_us\": 1000001, \"timeouts\": true, \"sqlstates\": [\"40\", \"any\"], \
         \"delay_max_us\": 5184000000000, \"max_attempts\": 7, \"may_run_twice\": true}",
    ),
    stated("", "async.may_commit(null)", "false"),
    stated("", "async.may_commit('select 1;')", "false"),
    stated("", "async.may_commit('/* now */ select 1; insert into t values (1)')", "false"),
    stated("", "async.may_commit('create table u (i int)')", "false"),
    stated("", "async.may_commit('create index concurrently on t (a)')", "true"),
    stated("", "async.may_commit('create database d')", "true"),
    stated("", "async.may_commit('alter system set work_mem = 1')", "true"),
    stated("", "async.may_commit('reindex index concurrently i')", "true"),
    stated("", "async.may_commit('drop index concurrently i')", "true"),
    stated("", "async.may_commit('call p()')", "true"),
    stated("", "async.may_commit('do $$ begin commit; end $$')", "true"),
    stated("", "async.may_commit('select 1; COMMIT; select 2')", "true"),
    stated("", "async.may_commit('begin; select 1')", "true"),
    stated("", "async.may_commit('start transaction')", "true"),
    stated("", "async.may_commit('select 1; end')", "true"),
    stated("", "async.may_commit('select 1; rollback')", "true"),
    stated("", "async.may_commit('select 1; abort')", "true"),
    stated("", "async.may_commit('prepare transaction ''x''')", "true"),
    stated("", "async.may_commit('vacuum')", "true"),
    stated("", "async.may_commit('cluster t')", "true"),
    stated("", "async.may_commit('checkpoint')", "true"),
    stated("", "judged.attempts('at once')", "1 1 1 FAILED 40001: x, 2 1 2 FINISHED, 3 1 3 FAILED 40001: x"),
    stated("", "judged.attempts('by row')", "1 1 1 FAILED 40001: x, 2 1 2 FINISHED, 3 1 3 FAILED 40001: x"),
    stated("", "judged.attempts('ends')", "1 1 1 FAILED 40001: x, 2 1 2 FINISHED, 3 1 3 FAILED 40001: x"),
    // The attempts of tasks that are gone, within a step of the history.
    stated(
        "select judged.attempts('at once'); delete from async.task where task_id in (1, 3);
         select async.delete_attempts(1, null)",
        "(select string_agg(task_id::text, ',' order by task_id) from async.attempt)",
        "1,2",
    ),
    stated(
        "select judged.attempts('at once'); delete from async.task where task_id in (1, 3);
         select async.delete_attempts(0, 2)",
        "(select string_agg(task_id::text, ',' order by task_id) from async.attempt)",
        "2,3",
    ),
];

/// The identity of a session, and connection strings to the same server.
const IDENTITIES: &[Stated] = &[
    stated(
        "",
        "async.read_identity(judged.identity(0, '1'))",
        "(1,150004,\"2026-01-01 00:00:00+00\",b,\"2026-01-02 00:00:00+00\",10.0.0.1,5432,7,26,t,public)",
    ),
    null("", "(async.read_identity(judged.identity(4, null))).server_started"),
    null("", "(async.read_identity(judged.identity(5, null))).server_address"),
    null("", "(async.read_identity(judged.identity(6, null))).server_port"),
    null("", "(async.read_identity(judged.identity(7, null))).system_identifier"),
    null("", "(async.read_identity(judged.identity(8, null))).timeline"),
    null("", "(async.read_identity(judged.identity(10, null))).dblink_schema"),
    stated("", "(async.read_identity(judged.identity(8, '00000001'))).timeline", "1"),
    stated("", "(async.read_identity(judged.identity(8, '1'))).timeline", "1"),
    stated("", "(async.read_identity(judged.identity(8, '10000000'))).timeline", "268435456"),
    stated("", "async.read_identity(judged.identity(0, null))", "ERROR 08P01"),
    stated("", "async.read_identity(judged.identity(1, null))", "ERROR 08P01"),
    stated("", "async.read_identity(judged.identity(2, null))", "ERROR 08P01"),
    stated("", "async.read_identity(judged.identity(3, null))", "ERROR 08P01"),
    stated("", "async.read_identity(judged.identity(0, 'x'))", "ERROR 08P01"),
    stated("", "async.read_identity(null)", "ERROR 08P01"),
    stated("", "async.read_identity('{')", "ERROR 08P01"),
    stated("", "async.read_identity(judged.long_identity(2000)) is not null", "true"),
    stated("", "async.read_identity(judged.long_identity(2001))", "ERROR 08P01"),
    stated(
        "",
        "async.same_server('host=a port=1 dbname=d user=u password=p', 'password=p user=u dbname=d port=1 host=a')",
        "true",
    ),
    stated("", "async.same_server('host=a', 'host=a application_name=x')", "true"),
    stated("", "async.same_server('host=a', 'host=b')", "false"),
    stated("", "async.same_server('host=a', 'host=a hostaddr=127.0.0.1')", "false"),
    stated("", "async.same_server('host=a port=1', 'host=a port=2')", "false"),
    stated("", "async.same_server('host=a dbname=d', 'host=a dbname=e')", "false"),
    stated("", "async.same_server('host=a user=u', 'host=a user=v')", "false"),
    stated("", "async.same_server('host=a password=p', 'host=a password=q')", "false"),
    stated("", "async.same_server('host=a', 'host=a port=1')", "false"),
];

/// Texts inside the wrapper.
const WRAPPED: &[Stated] = &[
    stated("", "async.wrap_query('select 1', 'plain')", "select 1"),
    stated(
        "",
        "async.wrap_query('select ''a''', 'loop')",
        "do 'declare pgasync_row record; begin for pgasync_row in execute ''select ''''a'''''' loop end loop; end'",
    ),
    stated(
        "",
        "async.wrap_query('delete from t', 'execute')",
        "do 'declare pgasync_row record; begin execute ''delete from t''; end'",
    ),
    stated(
        "",
        "async.wrap_query('delete from t; select 1', 'script')",
        "do 'declare pgasync_row record; begin execute ''delete from t''; for pgasync_row in execute '' select 1'' loop end loop; end'",
    ),
];

/// Limits on queries: their length, and how much of a text is read to classify it.
const QUERIES: &[Stated] = &[
    null("", "async.refuse_query(0)"),
    null("", "async.refuse_query(16777216)"),
    stated("", "async.refuse_query(16777217)", "PA017: the query has 16777217 bytes, and may have 16777216"),
    stated("", "async.refuse_query(null)", "the query of the task is gone"),
    stated("", "async.classify_query('select 1;' || repeat('/**/', 3992) || 'select 1')", "script"),
    stated("", "async.classify_query('select 1;' || repeat('/**/', 3993) || 'select 1')", "raw"),
    // The rest, which is not read, may be a statement that cannot run inside a function.
    stated("", "async.classify_query('select 1;' || repeat('/**/', 5000))", "raw"),
    stated("", "async.classify_query('select 1;' || repeat(' ', 40000) || '--')", "raw"),
    stated("", "async.classify_query(repeat(' ', 40000) || '--;')", "execute"),
    stated("", "async.opens_transaction(repeat(' ', 40000) || ';begin')", "true"),
    stated("", "async.classify_query('with a as (select 1) select ' || repeat('1+', 5000) || '1')", "execute"),
    stated("", "async.opens_transaction('select ' || repeat('1+', 5000) || '1;')", "true"),
    stated("", "async.refuses_transaction_block('VACUUM')", "true"),
    stated("", "async.refuses_transaction_block('discard all')", "true"),
    stated("", "async.refuses_transaction_block('create database x')", "true"),
    stated("", "async.refuses_transaction_block(E'/* c */ create -- c\\n tablespace s')", "true"),
    stated("", "async.refuses_transaction_block('drop  subscription s')", "true"),
    stated("", "async.refuses_transaction_block('alter system set a = 1')", "true"),
    stated("", "async.refuses_transaction_block('alter table a detach partition b concurrently')", "true"),
    stated("", "async.refuses_transaction_block('reindex (verbose) database d')", "true"),
    stated("", "async.refuses_transaction_block('reindex /* c */ schema s')", "true"),
    stated("", "async.refuses_transaction_block('reindex (concurrently) table t')", "true"),
    stated("", "async.refuses_transaction_block('create unique index concurrently i on t (n)')", "true"),
    stated("", "async.refuses_transaction_block('drop index /* a /* b */ */ concurrently i')", "true"),
    stated("", "async.refuses_transaction_block('cluster')", "true"),
    stated("", "async.refuses_transaction_block('cluster(verbose)')", "true"),
    stated("", "async.refuses_transaction_block(' cluster verbose')", "true"),
    stated("", "async.refuses_transaction_block('select 1')", "false"),
    stated("", "async.refuses_transaction_block('cluster t')", "false"),
    stated("", "async.refuses_transaction_block('create index i on t (n)')", "false"),
    stated("", "async.refuses_transaction_block('create table \"concurrently\" ()')", "false"),
    stated("", "async.refuses_transaction_block('reindex table \"concurrently\"')", "false"),
    stated("", "async.refuses_transaction_block('alter table a detach partition b')", "false"),
    stated("", "async.refuses_transaction_block('create table t (a text default ''reindex database'')')", "false"),
    stated(
        "",
        "async.refuses_transaction_block('alter table t add a text default e'' detach partition concurrently''')",
        "false",
    ),
    stated("", "async.refuses_transaction_block('discarded')", "false"),
    stated("", "async.refuses_transaction_block('reindex(' || repeat(' x', 48) || ' concurrently')", "true"),
    stated("", "async.refuses_transaction_block('reindex' || repeat(' x', 49) || ' concurrently')", "false"),
    stated("", "async.refuse_receipt('begin')", "controls transactions"),
    stated("", "async.refuse_receipt('start transaction')", "controls transactions"),
    stated("", "async.refuse_receipt('commit')", "controls transactions"),
    stated("", "async.refuse_receipt('end')", "controls transactions"),
    stated("", "async.refuse_receipt('rollback')", "controls transactions"),
    stated("", "async.refuse_receipt('abort')", "controls transactions"),
    stated("", "async.refuse_receipt('savepoint s')", "controls transactions"),
    stated("", "async.refuse_receipt('release s')", "controls transactions"),
    stated("", "async.refuse_receipt('Prepare Transaction ''x''')", "controls transactions"),
    stated("", "async.refuse_receipt('select 1; select 2; vacuum')", "cannot run in a transaction block"),
    stated("", "async.refuse_receipt('copy t to stdout')", "is a COPY from or to the client"),
    stated("", "async.refuse_receipt('select 1 into t')", "is a SELECT INTO"),
    stated("", "async.refuse_receipt('(select 1 into t)')", "is a SELECT INTO"),
    stated("", "async.refuse_receipt(null)", "is missing: clients run the task"),
    null("", "async.refuse_receipt('copy t to program ''cat''')"),
    null("", "async.refuse_receipt('prepare p as select 1')"),
    null("", "async.refuse_receipt('with a as (select 1) insert into t select * from a')"),
    null("", "async.refuse_receipt('insert into t values (1); call p()')"),
    stated("", "async.refuses_transaction_block('create databases')", "false"),
];

/// The connections of dblink at a target, whose schema is quoted already.
const DBLINK_CONNECTIONS: &[Stated] = &[
    null("", "async.close_connections_query(null)"),
    stated(
        "",
        "async.close_connections_query('\"A b\"')",
        "select pg_catalog.count(\"A b\".dblink_disconnect(c)) from pg_catalog.unnest(\"A b\".dblink_get_connections()) c",
    ),
];

/// The epoch of the leader, and which session leads.
const LEADERSHIP: &[Stated] = &[
    stated("", "async.hold_epoch((select l.epoch from async.leader l))", ""),
    stated("", "async.hold_epoch((select l.epoch + 1 from async.leader l))", "ERROR PA212"),
    stated("", "async.hold_epoch((select l.epoch - 1 from async.leader l))", "ERROR PA212"),
    stated("", "async.hold_epoch(null)", "ERROR PA212"),
    stated(
        "select async.hold_epoch((select l.epoch from async.leader l))",
        "(select l.mode from pg_locks l where l.pid = pg_backend_pid() and l.relation = 'async.leader'::regclass
          and l.mode <> 'AccessShareLock')",
        "RowExclusiveLock",
    ),
    stated("", "async.is_leader()", "false"),
    stated("select pg_advisory_xact_lock(-77)", "async.is_leader()", "false"),
    stated("update async.control set pid = pg_backend_pid()", "async.is_leader()", "false"),
    stated("select judged.lead()", "async.is_leader()", "true"),
    stated("select judged.lead(); update async.control set pid = pid + 1", "async.is_leader()", "false"),
    stated("select judged.lead(); update async.control set pid = null", "async.is_leader()", "false"),
    stated("select judged.lead(); update async.leader_lock set key = -78", "async.is_leader()", "false"),
    stated("select judged.lead(); update async.leader_lock set pid = pid + 1", "async.is_leader()", "false"),
    stated("select judged.lead(); delete from async.leader_lock", "async.is_leader()", "false"),
    stated("select judged.lead()", "async.leader_pid() = pg_backend_pid()", "true"),
    null("update async.leader_lock set pid = pg_backend_pid(), key = 7", "async.leader_pid()"),
    null(
        "update async.leader_lock set pid = pg_backend_pid(), key = 7; select pg_advisory_xact_lock_shared(7)",
        "async.leader_pid()",
    ),
    null(
        "update async.leader_lock set pid = pg_backend_pid(), key = 7; select pg_advisory_xact_lock(0, 7)",
        "async.leader_pid()",
    ),
];

/// Triggers and constraints of users.
const TRIGGERS: &[Stated] = &[
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
const ROUTINES: &[Stated] = &[
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

/// Plain claims and plain ends are written by their own statements. In these questions the
/// statement for all other events writes nothing.
const PLAIN_WRITES: &[Stated] = &[
    null("select judged.queue(), judged.plain_writes_only()", "judged.claim('{1,6}', '{0,null}')"),
    stated(
        "select judged.queue(), judged.plain_writes_only(); select judged.claim('{1}', '{null}')",
        "judged.became(1)",
        "unfinished",
    ),
    stated("select judged.queue(), judged.plain_writes_only()", "judged.claim('{1,2}', '{0,1}')", "{\"2 1 CLAIM\"}"),
    stated("select judged.queue(), judged.plain_writes_only()", "judged.claim('{1,6}', '{0,5}')", "{\"6 5 CLAIM\"}"),
    stated("select judged.queue(), judged.plain_writes_only()", "judged.claim('{9}', '{null}')", "{\"9 CLAIM\"}"),
    null("select judged.queue(), judged.plain_writes_only()", "judged.end('{2}', '{1}')"),
    null("select judged.queue(), judged.plain_writes_only()", "judged.end('{2}', '{null}')"),
    stated(
        "select judged.queue(), judged.plain_writes_only(); select judged.end('{2}', '{1}')",
        "judged.became(2)",
        "processed FINISHED",
    ),
    stated("select judged.queue(), judged.plain_writes_only()", "judged.end('{2}', '{5}')", "{\"2 5 END_OK\"}"),
    stated("select judged.queue(), judged.plain_writes_only()", "judged.end('{2,1}', '{1,null}')", "{\"1 END_OK\"}"),
    stated("select judged.queue(), judged.plain_writes_only()", "judged.end('{2,3}', '{1,null}')", "{\"3 END_OK\"}"),
    stated("select judged.queue(), judged.plain_writes_only()", "judged.end('{2,4}', '{1,null}')", "{\"4 END_OK\"}"),
    stated("select judged.queue(), judged.plain_writes_only()", "judged.end('{2,5}', '{1,null}')", "{\"5 END_OK\"}"),
    stated("select judged.queue(), judged.plain_writes_only()", "judged.end('{2,7}', '{1,null}')", "{\"7 END_OK\"}"),
    stated(
        "select judged.queue(), judged.plain_writes_only(); update async.task set tracked = null where task_id = 2",
        "judged.end('{2}', '{1}')",
        "{\"2 1 END_OK\"}",
    ),
    // In a session without the memory of the SQL engine, no slot is released.
    stated("", "async.release_pools('{a}')", ""),
    stated(
        "create temp table leader_pool as select 'a'::text as pool, 1 as taken union all select 'b', 2",
        "async.release_pools('{}')",
        "",
    ),
    stated(
        "create temp table leader_pool as select 'a'::text as pool, 1 as taken union all select 'b', 2;
         select async.release_pools('{a,a,b}')",
        "(select array_agg(p.pool || p.taken order by p.pool) from leader_pool p)",
        "{a0,b1}",
    ),
];

/// Results: the text around a query, what is read of an answer, and which results the upkeep deletes.
const RESULTS: &[Stated] = &[
    stated("", "async.dollar_quote('a')", "$pgasync1$a$pgasync1$"),
    stated("", "async.dollar_quote('$pgasync1$')", "$pgasync2$$pgasync1$$pgasync2$"),
    // With the tag behind it, the end of the text would be a tag.
    stated("", "async.dollar_quote('a$pgasync1')", "$pgasync2$a$pgasync1$pgasync2$"),
    stated(
        "",
        "async.dollar_quote('$pgasync1$pgasync2$pgasync3$pgasync4$pgasync5$pgasync6$pgasync7$')",
        "$pgasync8$$pgasync1$pgasync2$pgasync3$pgasync4$pgasync5$pgasync6$pgasync7$$pgasync8$",
    ),
    stated(
        "",
        "async.dollar_quote('''$pgasync1$pgasync2$pgasync3$pgasync4$pgasync5$pgasync6$pgasync7$pgasync8$')",
        "'''$pgasync1$pgasync2$pgasync3$pgasync4$pgasync5$pgasync6$pgasync7$pgasync8$'",
    ),
    stated("", "async.classify_kept('select 1')", "(loop,)"),
    stated("", "async.classify_kept('delete from t returning n')", "(loop,)"),
    stated("", "async.classify_kept('delete from t')", "(execute,)"),
    stated("", "async.classify_kept('call p()')", "(probe,)"),
    stated("", "async.classify_kept('create table t as select 1')", "(execute,)"),
    stated(
        "",
        "async.classify_kept('create function f() returns text language sql as ''select 1 /* database */''')",
        "(execute,)",
    ),
    stated("", "async.classify_kept('prepare p as select 1')", "(execute,)"),
    stated("", "async.classify_kept('create index i on t (n)')", "(execute,)"),
    stated("", "async.classify_kept('reindex table t')", "(execute,)"),
    stated("", "async.classify_kept('alter database d set work_mem = 1')", "(execute,)"),
    stated("", "async.classify_kept('-- nothing')", "(execute,)"),
    stated("", "async.classify_kept('with a as (select 1) select ' || repeat('1+', 5000) || '1')", "(probe,)"),
    stated("", "async.classify_kept('select 1;' || repeat('/**/', 5000))", "(probe,)"),
    stated("", "async.classify_kept('select 1; select 2;' || repeat('/**/', 5000))", "(,\"has several statements\")"),
    stated("", "async.classify_kept('set x.y = 1; select 1')", "(,\"has several statements\")"),
    stated("", "async.classify_kept('select 1 into t')", "(,\"is a SELECT INTO\")"),
    stated("", "async.classify_kept('with a as (select 1) select * into t from a')", "(,\"is a SELECT INTO\")"),
    stated("", "async.classify_kept('copy t to program ''cat''')", "(,\"is a COPY\")"),
    stated("", "async.classify_kept('copy t from stdin')", "(,\"is a COPY\")"),
    stated("", "async.classify_kept('begin')", "(,\"controls transactions\")"),
    stated("", "async.classify_kept('start transaction')", "(,\"controls transactions\")"),
    stated("", "async.classify_kept('commit')", "(,\"controls transactions\")"),
    stated("", "async.classify_kept('end')", "(,\"controls transactions\")"),
    stated("", "async.classify_kept('rollback')", "(,\"controls transactions\")"),
    stated("", "async.classify_kept('abort')", "(,\"controls transactions\")"),
    stated("", "async.classify_kept('savepoint s')", "(,\"controls transactions\")"),
    stated("", "async.classify_kept('release s')", "(,\"controls transactions\")"),
    stated("", "async.classify_kept('Prepare Transaction ''x''')", "(,\"controls transactions\")"),
    stated(
        "",
        "async.classify_kept('reindex (verbose) index concurrently i')",
        "(,\"cannot run in a transaction block\")",
    ),
    stated("", "async.classify_kept('drop index concurrently i')", "(,\"cannot run in a transaction block\")"),
    stated(
        "",
        "async.classify_kept('create unique index  concurrently i on t (n)')",
        "(,\"cannot run in a transaction block\")",
    ),
    stated("", "async.classify_kept('discard all')", "(,\"cannot run in a transaction block\")"),
    stated("", "async.classify_kept('drop tablespace s')", "(,\"cannot run in a transaction block\")"),
    stated("", "async.answer_bytes_max(3)", "4100"),
    stated("", "async.read_result('{\"row_count\": 3, \"truncated\": true, \"rows\": \"WzFd\"}', 3)", "(3,[1],t,3,)"),
    stated(
        "",
        "async.read_result('{\"row_count\": 1, \"truncated\": false, \"rows\": \"WzFd\"}', 2)",
        "(1,,t,,\"the target answered 3 bytes, and result_bytes_max is 2\")",
    ),
    stated("", "async.read_result('{\"row_count\": 1, \"rows\": \"WzFd\", \"error\": \"e\"}', 9)", "(1,[1],t,3,e)"),
    stated("", "async.read_result('{\"error\": \"e\"}', 9)", "(,,t,,e)"),
    stated(
        "",
        "async.read_result(null, 9)",
        "(,,t,,\"the answer of the target cannot be read: P0001: it has no rows, or a negative number of them\")",
    ),
    stated(
        "insert into async.result (task_id, run, row_count, rows, truncated, bytes)
           select n, 1, 0, '[]', false, 2 from generate_series(1, 6) n;
         insert into async.task (task_id, target) values (3, 'a');
         select async.delete_results(1, 5)",
        "(select array_agg(r.task_id order by r.task_id) from async.result r)",
        "{1,3,6}",
    ),
    stated(
        "insert into async.result (task_id, run, row_count, rows, truncated, bytes)
           select n, 1, 0, '[]', false, 2 from generate_series(1, 3) n;
         select async.delete_results(1, null)",
        "(select array_agg(r.task_id order by r.task_id) from async.result r)",
        "{1}",
    ),
    // The later result replaces the other one, and a task that is gone gets none.
    stated(
        "insert into async.task (task_id, target, run) values (7, 'a', 4);
         insert into async.result (task_id, run, rows, truncated, error) values (7, 1, null, true, 'old');
         select async.write_results(array[
           row(7, null, 'END_OK', null, null, null, null, null, null, null,
             '{\"row_count\": 1, \"truncated\": false, \"rows\": \"WzFd\"}', null)::async.event_t,
           row(8, 1, 'END_OK', null, null, null, null, null, null, null, '{}', null)::async.event_t])",
        "(select array_agg(r) from async.result r)",
        "{\"(7,4,1,[1],f,3,)\"}",
    ),
];

const ALL: [(&str, &[Stated]); 11] = [
    ("results", RESULTS),
    ("retries", RETRIES),
    ("sessions", SESSIONS),
    ("identities", IDENTITIES),
    ("wrapped", WRAPPED),
    ("queries", QUERIES),
    ("connections of dblink", DBLINK_CONNECTIONS),
    ("leadership", LEADERSHIP),
    ("triggers", TRIGGERS),
    ("routines", ROUTINES),
    ("plain writes", PLAIN_WRITES),
];

/// The differences between the answers of SQL and the stated ones.
pub(super) async fn disagreements(database: &Database) -> Vec<String> {
    let mut differ = Vec::new();
    for (group, questions) in ALL {
        for stated in questions {
            let answer = stated.ask(database).await;
            if answer.as_deref() != stated.answer {
                let Stated { before, question, answer: expected } = stated;
                differ.push(format!("{group}: {before}\n  {question}\n  answers {answer:?}, expected {expected:?}"));
            }
        }
    }
    differ
}

impl Stated {
    async fn ask(&self, database: &Database) -> Option<String> {
        let session = database.session();
        let before = format!("begin; set local timezone = 'utc'; {}", self.before);
        let answer = match session.batch_execute(&before).await {
            Err(error) => Err(error),
            Ok(()) => session.query_one(&format!("select ({})::text", self.question), &[]).await,
        };
        let answer = match answer {
            Ok(row) => row.get(0),
            Err(error) => Some(format!("ERROR {}", error.sqlstate().unwrap_or("none"))),
        };
        database.run("rollback").await;
        answer
    }
}

#[tokio::test]
async fn the_rules_that_the_core_does_not_have_are_as_stated() {
    let differ = disagreements(&prepared_database().await).await;
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}
