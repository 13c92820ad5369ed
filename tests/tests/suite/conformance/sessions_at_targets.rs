//! Target sessions: their registration, the proofs that they are gone, and lost sessions.

use std::time::Duration;

use pgasync_pg::{ConnectionSettings, Session};
use pgasync_tests::{Engine, PrivateCluster, Target};
use serde_json::json;

use super::fixture::{Fixture, SOON};
use super::link::refused_conninfo;

async fn a_session_is_written_down_with_its_server<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.run_task("select 1").await.succeeded();
    fixture
        .assert_holds(
            "select bool_and(s.server_started = pg_postmaster_start_time() and s.server_address = '127.0.0.1'
           and s.server_port = current_setting('port')::int
           and s.system_identifier = c.system_identifier::text and s.timeline = 1)
         from async.session s cross join pg_control_system() c",
        )
        .await;
    fixture
        .assert_holds(&format!(
            "select count(*) > 0 from pg_stat_activity a
         join async.leader l on a.application_name like format('pgasync/%s/%s.%%/%%', l.server_id, l.epoch)
         join async.election e on split_part(a.application_name, '/', 3) = format('%s.%s', e.epoch, e.nonce)
         where a.datname = '{}' and e.nonce ~ '^[0-9a-f]{{8}}$'",
            fixture.target.name()
        ))
        .await;
}

async fn a_target_role_that_cannot_read_the_identity_of_its_server_runs_tasks<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let role = format!("blind_{}", fixture.target.name());
    fixture.run_there(&format!(
        "create role {role} login; revoke execute on function pg_control_system(), pg_walfile_name(pg_lsn) from public"
    ))
    .await;
    let conninfo = fixture.target.conninfo().replace("user=postgres", &format!("user={role}"));
    fixture.configure(&json!({ "targets": [{ "target": "blind", "connection_string": conninfo }] })).await;
    let id = fixture.push_as("'select 1', 'blind'").await;
    fixture.end_of(id).await.succeeded();
    fixture
        .assert_holds(
            "select system_identifier is null and timeline is null and server_started is not null
         from async.session where target = 'blind'",
        )
        .await;
    fixture.run(&format!("select pg_terminate_backend(pid) from pg_stat_activity where usename = '{role}'")).await;
    fixture.run_there(&format!("drop owned by {role}; drop role {role}")).await;
}

/// A session that is registered as one of the last leader, with changed values in some columns.
async fn left_behind<E: Engine>(fixture: &mut Fixture<E>, columns: &str) -> (Session, i64) {
    fixture.engine.lead().await;
    fixture.engine.stop().await;
    let name = "select format('pgasync/%s/%s.%s/9', l.server_id, l.epoch, e.nonce)
                from async.leader l join async.election e using (epoch)";
    let name = fixture.text(name).await.expect("there was an election");
    let session = fixture.target.settings().with_application_name(&name).connect().await.expect("a session");
    let pid: i32 = session.query_one("select pg_backend_pid()", &[]).await.expect("a pid").get(0);
    let id = fixture
        .id(
            "insert into async.session (epoch, slot, target, connection_string, role, pid, backend_start,
               server_started, server_address, server_port, system_identifier, timeline)
             select l.epoch, 9, 'there', $1, a.usename, a.pid, a.backend_start,
               pg_postmaster_start_time(), '127.0.0.1', current_setting('port')::int, c.system_identifier::text, 1
             from async.leader l cross join pg_stat_activity a cross join pg_control_system() c
             where a.pid = $2
             returning session_id",
            &[&fixture.target.conninfo(), &pid],
        )
        .await;
    fixture.run(&format!("update async.session set {columns} where session_id = {id}")).await;
    fixture.engine = E::attach(&fixture.database);
    (session, id)
}

async fn is_forgotten<E: Engine>(fixture: &Fixture<E>, id: i64) {
    fixture
        .wait_for_within(&format!("select not exists (select from async.session where session_id = {id})"), SOON)
        .await;
}

async fn is_shown_as_lost<E: Engine>(fixture: &Fixture<E>, id: i64, error: &str) {
    fixture
        .wait_for_within(
            &format!(
                "select exists (select from async.v_lost_session
             where session_id = {id} and target = 'there' and since is not null and error ~ '{error}')"
            ),
            SOON,
        )
        .await;
    fixture.wait_for(&format!(
        "select exists (select from async.server_log where level = 'WARNING' and message like '%write\\_off\\_session({id})%')"
    ))
    .await;
}

async fn an_older_session_is_ended_whatever_the_datestyle<E: Engine>() {
    let mut fixture = Fixture::<E>::prepared().await;
    let database = fixture.text("select quote_ident(current_database())").await.expect("a name");
    fixture
        .run(&format!(
            "alter database {database} set datestyle = 'SQL, DMY'; alter database {database} set timezone = 'UTC'"
        ))
        .await;
    let (session, id) = left_behind(&mut fixture, "slot = 9").await;
    fixture.engine.lead().await;
    is_forgotten(&fixture, id).await;
    assert!(session.batch_execute("select 1").await.is_err(), "it was ended");
    fixture.run_task("select 1").await.succeeded();
}

async fn an_older_session_is_ended_at_the_present_address_when_the_old_one_fails<E: Engine>() {
    let mut fixture = Fixture::<E>::prepared().await;
    let gone = format!("connection_string = '{}'", refused_conninfo());
    let (session, id) = left_behind(&mut fixture, &gone).await;
    fixture.engine.lead().await;
    is_forgotten(&fixture, id).await;
    assert!(session.batch_execute("select 1").await.is_err(), "it was ended");
    fixture.run_task("select 1").await.succeeded();
}

/// Behind a load balancer any server may answer. A session that this server does not list may exist
/// on another.
async fn a_session_that_another_server_does_not_list_is_not_gone_until_it_is_written_off<E: Engine>() {
    let mut fixture = Fixture::<E>::prepared().await;
    let elsewhere = "server_started = server_started - interval '1 day', pid = 1";
    let (session, id) = left_behind(&mut fixture, elsewhere).await;
    fixture.engine.lead().await;
    is_shown_as_lost(&fixture, id, "another server answers").await;
    let (code, _) = fixture.refused(&format!("select async.write_off_session({})", id + 1000)).await;
    assert_eq!(code, "PA214");
    fixture.assert_holds(&format!("select not written_off from async.session where session_id = {id}")).await;
    fixture.run(&format!("select async.write_off_session({id})")).await;
    is_forgotten(&fixture, id).await;
    fixture.run_task("select 1").await.succeeded();
    session.batch_execute("select 1").await.expect("it was left alone");
}

async fn a_session_that_does_not_count_as_lost_cannot_be_written_off<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.run_task("select 1").await.succeeded();
    let id = fixture.number("select max(session_id) from async.session").await;
    let (code, _) = fixture.refused(&format!("select async.write_off_session({id})")).await;
    assert_eq!(code, "PA214");
}

async fn a_server_that_was_started_again_since_has_none_of_its_old_sessions<E: Engine>() {
    let mut fixture = Fixture::<E>::prepared().await;
    let before = "server_started = server_started - interval '1 day', pid = 1,
                  backend_start = pg_postmaster_start_time() - interval '1 hour'";
    let (_session, id) = left_behind(&mut fixture, before).await;
    fixture.engine.lead().await;
    is_forgotten(&fixture, id).await;
    fixture.run_task("select 1").await.succeeded();
}

/// After a failover the primary is another server, on a later timeline.
async fn of_several_hosts_a_writable_one_on_a_later_timeline_has_taken_over<E: Engine>() {
    let mut fixture = Fixture::<E>::prepared().await;
    let earlier =
        "server_started = server_started - interval '1 day', server_address = '10.9.8.7', pid = 1, timeline = 0";
    let (_session, id) = left_behind(&mut fixture, earlier).await;
    fixture.engine.lead().await;
    is_shown_as_lost(&fixture, id, "another server answers").await;
    let conninfo = fixture.target.conninfo();
    let port = fixture.text("select current_setting('port')").await.expect("a port");
    let both = conninfo
        .replace("host=127.0.0.1", "host=127.0.0.1,127.0.0.1")
        .replace(&format!("port={port}"), &format!("port={port},{port}"));
    assert_ne!(conninfo, both);
    let both = format!("{both} target_session_attrs=read-write");
    fixture.engine.stop().await;
    fixture.configure(&json!({ "targets": [{ "target": "there", "connection_string": both }] })).await;
    fixture.engine = E::attach(&fixture.database);
    fixture.engine.lead().await;
    is_forgotten(&fixture, id).await;
    fixture.run_task("select 1").await.succeeded();
}

/// The server may be a copy. The original may still use its sessions.
async fn sessions_of_before_the_server_moved_are_left_alone<E: Engine>() {
    let mut fixture = Fixture::<E>::prepared().await;
    let (session, id) = left_behind(&mut fixture, "slot = 9").await;
    fixture.run("update async.election set timeline = 4711, server_started = server_started - interval '1 day'").await;
    fixture.engine.lead().await;
    is_shown_as_lost(&fixture, id, "async.adopt").await;
    let task = fixture.push("select 1").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    session.batch_execute("select 1").await.expect("it was left alone");
    fixture.assert_holds(&format!("select consumed is null from async.task where task_id = {task}")).await;
    // The next leader on this server, which has not moved since, does not end the session either.
    fixture.engine.stop().await;
    fixture.engine = E::attach(&fixture.database);
    fixture.engine.lead().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    session.batch_execute("select 1").await.expect("it was left alone");
    session.close().await;
    is_forgotten(&fixture, id).await;
    fixture.end_of(task).await.succeeded();
}

async fn an_adopted_copy_ignores_sessions_of_its_original<E: Engine>() {
    let mut fixture = Fixture::<E>::prepared().await;
    let (session, _) = left_behind(&mut fixture, "slot = 9").await;
    fixture.run("update async.election set timeline = 4711, server_started = server_started - interval '1 day'").await;
    fixture.run("select async.adopt()").await;
    fixture.engine.lead().await;
    fixture.run_task("select 1").await.succeeded();
    session.batch_execute("select 1").await.expect("it was left alone");
}

#[tokio::test]
async fn a_server_that_restarts_or_is_reached_in_another_way_has_not_moved() {
    let cluster = PrivateCluster::start(&[]);
    let mut database = pgasync_tests::Database::create_on(&cluster).await;
    database.run("select async.raise_epoch('sql')").await;
    cluster.stop();
    cluster.restart();
    database.reconnect().await;
    database.run("select async.raise_epoch('sql')").await;
    let socket = format!(
        "host={} port={} user=postgres dbname={}",
        cluster.socket_folder().display(),
        cluster.port(),
        database.text("select current_database()").await.unwrap_or_default()
    );
    let socket =
        ConnectionSettings::from_env(Some(&socket)).expect("it is fine").connect().await.expect("it has a socket");
    cluster.stop();
    drop(socket);
    cluster.restart();
    database.reconnect().await;
    database.run("update async.election set address = null where epoch = 2").await;
    database.run("select async.raise_epoch('sql')").await;
    database.assert_holds("select count(*) = 3 and not bool_or(moved) from async.election").await;
    for (epoch, change) in [(4, "timeline = 7"), (5, "port = 1"), (6, "address = '10.9.8.7', port = 1")] {
        database
            .run(&format!(
                "update async.election set {change}, server_started = '2001-01-01' where epoch = {epoch} - 1"
            ))
            .await;
        database.run("select async.raise_epoch('sql')").await;
        database.assert_holds(&format!("select moved from async.election where epoch = {epoch}")).await;
    }
}

/// The server of a target is restarted while a query runs.
async fn a_restarted_target_resolves_the_tasks_that_it_ran<E: Engine>() {
    let cluster = PrivateCluster::start(&[]);
    let target = Target::create_on(&cluster).await;
    let fixture = Fixture::<E>::led().await;
    fixture.configure(&json!({ "targets": [{ "target": "apart", "connection_string": target.conninfo() }] })).await;
    let id = fixture.push_as("'select pg_sleep(100)', 'apart'").await;
    fixture.wait_until(id, "RUNNING").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    cluster.stop();
    cluster.restart();
    let error = fixture.end_of(id).await.is("FAILED").expect("an error message");
    assert!(error.contains("outcome unknown"), "{error}");
    let next = fixture.push_as("'select 1', 'apart'").await;
    fixture.end_of(next).await.succeeded();
    fixture.assert_holds("select count(*) = 0 from async.v_lost_session").await;
}

const LEFT_OPEN: &str = "the query left its transaction open: what it did was rolled back";

async fn a_query_that_leaves_its_transaction_open_fails_with_that_error<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    for reset in [true, false] {
        fixture.configure(&json!({ "targets": [fixture.there(&json!({ "session_reset": reset }))] })).await;
        for query in [
            "begin; insert into ledger (mark) values ('open')",
            "/* now */ start transaction; insert into ledger (mark) values ('open');",
            "insert into ledger (mark) values ('closed'); begin",
            "begin; insert into ledger (mark) values ('closed'); commit and chain",
        ] {
            let error = fixture.run_task(query).await.is("FAILED");
            // Postgres 11 has no `AND CHAIN`.
            if query.ends_with("chain")
                && fixture.holds("select current_setting('server_version_num')::int < 120000").await
            {
                assert!(error.as_deref().is_some_and(|error| error.starts_with("42601")), "{error:?}");
                continue;
            }
            assert_eq!(error.as_deref(), Some(LEFT_OPEN), "{query}");
        }
        fixture.run_task("begin; insert into ledger (mark) values ('committed'); commit").await.succeeded();
        fixture.run_task("do $$ begin insert into ledger (mark) values ('done'); end $$").await.succeeded();
        fixture.run_task("select 1").await.succeeded();
        fixture
            .run_task("begin; select 1/0")
            .await
            .is("FAILED")
            .filter(|error| error.contains("22012"))
            .expect("its own error");
        fixture.run_task("select 1").await.succeeded();
    }
    assert_eq!(fixture.target.marks("open").await, 0);
    assert_eq!(fixture.target.marks("committed").await, 2);
    assert_eq!(fixture.target.marks("done").await, 2);
    fixture.wait_until_no_slot_is_taken().await;
}

/// All connections of the target are in use.
async fn a_target_that_takes_no_further_session_is_asked_to_cancel<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let role = format!("single_{}", fixture.target.name());
    fixture.run(&format!("create role {role} login connection limit 1")).await;
    let conninfo = fixture.target.conninfo().replace("user=postgres", &format!("user={role}"));
    fixture
        .configure(&json!({ "targets": [{ "target": "single", "connection_string": conninfo, "max_workers": 1 }] }))
        .await;
    let id = fixture.push_as("'select pg_sleep(100)', 'single'").await;
    fixture.wait_until_it_runs(id).await;
    fixture.run(&format!("select async.cancel(array[{id}])")).await;
    fixture.end_within(id, SOON).await.is("CANCELED");
    fixture.wait_for(&format!("select not exists (select from pg_stat_activity where usename = '{role}')")).await;
    fixture.run(&format!("drop role {role}")).await;
}

conformance!(
    a_session_is_written_down_with_its_server,
    a_target_role_that_cannot_read_the_identity_of_its_server_runs_tasks,
    an_older_session_is_ended_whatever_the_datestyle,
    an_older_session_is_ended_at_the_present_address_when_the_old_one_fails,
    a_session_that_another_server_does_not_list_is_not_gone_until_it_is_written_off,
    a_session_that_does_not_count_as_lost_cannot_be_written_off,
    a_server_that_was_started_again_since_has_none_of_its_old_sessions,
    of_several_hosts_a_writable_one_on_a_later_timeline_has_taken_over,
    sessions_of_before_the_server_moved_are_left_alone,
    an_adopted_copy_ignores_sessions_of_its_original,
    a_restarted_target_resolves_the_tasks_that_it_ran,
    a_query_that_leaves_its_transaction_open_fails_with_that_error,
);

// The SQL engine cancels over a second connection.
run_on!(pgasync_tests::RustEngine => cancels: a_target_that_takes_no_further_session_is_asked_to_cancel);
