//! The text of a query: its limits, its wrapper, and what is kept of its answer.

use super::{Stated, null, stated};

/// Texts inside the wrapper.
pub(super) const WRAPPED: &[Stated] = &[
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
pub(super) const QUERIES: &[Stated] = &[
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

/// Results: the text around a query, what is read of an answer, and which results the upkeep deletes.
pub(super) const RESULTS: &[Stated] = &[
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
