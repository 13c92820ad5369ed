//! Writes of the leader: retries, plain claims and plain ends.

use super::{Stated, null, stated};

/// What the copy of a retry policy contains, which texts may be committed in part, and which attempts
/// each of the writers notes.
pub(super) const RETRIES: &[Stated] = &[
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

/// Plain claims and plain ends are written by their own statements. In these questions the
/// statement for all other events writes nothing.
pub(super) const PLAIN_WRITES: &[Stated] = &[
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
