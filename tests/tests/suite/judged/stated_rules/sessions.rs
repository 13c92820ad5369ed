//! Target sessions, connections, and which session leads.

use super::{Stated, null, stated};

/// Target sessions: the server at which they were registered, and whether they are gone.
pub(super) const SESSIONS: &[Stated] = &[
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

/// The identity of a session, and connection strings to the same server.
pub(super) const IDENTITIES: &[Stated] = &[
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

/// The connections of dblink at a target, whose schema is quoted already.
pub(super) const DBLINK_CONNECTIONS: &[Stated] = &[
    null("", "async.close_connections_query(null)"),
    stated(
        "",
        "async.close_connections_query('\"A b\"')",
        "select pg_catalog.count(\"A b\".dblink_disconnect(c)) from pg_catalog.unnest(\"A b\".dblink_get_connections()) c",
    ),
];

/// The epoch of the leader, and which session leads.
pub(super) const LEADERSHIP: &[Stated] = &[
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
