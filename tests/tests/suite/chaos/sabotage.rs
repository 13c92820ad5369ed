//! Engines that break a promise on purpose: the judge must report them.

use std::time::Duration;

use pgasync_tests::{Engine, RustEngine, SqlEngine};
use tokio::time::sleep;

use super::fixture::{ChaosFixture, Kill, LONG_PERCENT};
use super::judge::Allowed;

/// The number of kills within which the damage must appear.
const KILLS_MAX: u32 = 20;

/// The judge's complaints about a task that ran twice. Some tasks record their start, others their
/// commit.
pub(super) const RUN_TWICE: &[&str] = &["started twice", "committed twice"];

/// A SQL engine that does not mark its launches.
pub(super) const SQL_WITHOUT_MARKS: &str = "
    create or replace function async.mark_launches() returns int language sql as 'select 0';";

/// A Rust engine that does not mark its launches.
pub(super) const RUST_WITHOUT_MARKS: &str = "
    create or replace function async.lead_mark(in_epoch bigint, in_ids bigint[], in_runs int[], in_sessions bigint[])
    returns table (task_id bigint, query text, refused text, may_reach_self bool, answer_bytes_max int, receipt bool)
    language sql as $$
      select t.task_id, t.query, null, true, null::int, false from async.task t where t.task_id = any (in_ids) $$;";

/// The time that the next leader needs to do the damage.
const DAMAGE_WITHIN: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_sends_before_its_claim_is_committed_is_caught() {
    let changes = "
        alter function async.run_stages() rename to run_stages_original;
        create function async.run_stages(out did int, out cancelled bool) language plpgsql as $$
        begin
          select r.did, r.cancelled into did, cancelled from async.run_stages_original() r;
          if exists (select from pg_temp.leader_worker s where s.state = 'claimed') then
            perform async.mark_launches();
            perform async.send_launches();
            perform pg_sleep(0.02);
          end if;
        end $$;";
    kill_until::<SqlEngine>(changes, LONG_PERCENT, Kill::Leader, RUN_TWICE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_does_not_mark_its_launches_is_caught() {
    kill_until::<SqlEngine>(SQL_WITHOUT_MARKS, LONG_PERCENT, Kill::Session, RUN_TWICE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_does_not_end_the_sessions_of_a_lost_leader_is_caught() {
    // This engine also ignores sessions that it does not know. Some queries of the lost leader have
    // to run until the next leader launches.
    let changes = "
        create or replace function async.refuse_unknown_sessions(in_conn text) returns void language sql as 'select';
        create or replace function async.end_sessions(in_ids bigint[], in_how text, in_present bool) returns text
        language sql as $$
          select jsonb_agg(jsonb_build_object('id', i, 'state', 'gone'))::text from unnest(in_ids) i $$;";
    kill_until::<SqlEngine>(changes, 60, Kill::Session, &["more at once than may"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rust_engine_that_does_not_mark_its_launches_is_caught() {
    kill_until::<RustEngine>(RUST_WITHOUT_MARKS, LONG_PERCENT, Kill::Leader, RUN_TWICE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rust_engine_that_does_not_end_the_sessions_of_a_lost_leader_is_caught() {
    // The sessions are registered for a later epoch.
    let changes = "
        create function async.misdate() returns trigger language plpgsql as $$
        begin
          new.epoch := new.epoch + 1000;
          return new;
        end $$;
        create trigger misdate before insert on async.session for each row execute procedure async.misdate();";
    kill_until::<RustEngine>(changes, 60, Kill::Leader, &["more at once than may"]).await;
}

async fn an_engine_that_exceeds_the_limit_of_a_pool_of_short_tasks_is_caught<E: Engine>() {
    let changes = "
        create function chaos_widen() returns trigger language plpgsql as $$
        begin
          new.max_workers := 2 * new.max_workers;
          return new;
        end $$;
        create trigger widen before insert or update on async.concurrency_pool for each row
          when (new.concurrency_pool = 'quick') execute procedure chaos_widen();";
    catch::<E>(changes, &["more at once than may"]).await;
}

async fn an_engine_that_knows_no_outcome_although_nothing_was_lost_is_caught<E: Engine>() {
    let changes = "
        create function chaos_doubt() returns trigger language plpgsql as $$
        begin
          new.finish_status := 'FAILED';
          new.failed := true;
          new.processing_error := 'outcome unknown: for no reason';
          return new;
        end $$;
        create trigger doubt before update on async.task for each row
          when (new.task_id % 50 = 0 and old.processed is null and new.processed is not null)
          execute procedure chaos_doubt();";
    catch::<E>(changes, &["in doubt without a loss"]).await;
}

/// The row is changed as if the task ran again, although no session runs it.
async fn an_engine_that_forgets_a_task_is_caught<E: Engine>() {
    let changes = "
        create function chaos_forget() returns trigger language plpgsql as $$
        begin
          new.processed := null;
          new.finish_status := null;
          new.failed := null;
          return new;
        end $$;
        create trigger forget before update on async.task for each row
          when (new.task_id % 200 = 0 and old.processed is null and new.processed is not null)
          execute procedure chaos_forget();";
    catch::<E>(changes, &["never ended"]).await;
}

on_both_engines!(
    an_engine_that_exceeds_the_limit_of_a_pool_of_short_tasks_is_caught,
    an_engine_that_knows_no_outcome_although_nothing_was_lost_is_caught,
    an_engine_that_forgets_a_task_is_caught,
);

/// Runs an engine for a while without a kill, then asserts that the judge makes one of the
/// complaints.
async fn catch<E: Engine>(changes: &str, complaints: &[&str]) {
    let mut fixture = ChaosFixture::<E>::open_with(changes, LONG_PERCENT).await;
    fixture.wait_until_busy().await;
    sleep(2 * DAMAGE_WITHIN).await;
    let broken = fixture.settle(Allowed::OneLaunch).await;
    assert!(is_among(complaints, &broken), "not caught: {broken:?}");
}

/// Kills until the damage appears, then asserts that the judge makes one of the complaints.
async fn kill_until<E: Engine>(changes: &str, long_percent: u64, victim: Kill, complaints: &[&str]) {
    let mut fixture = ChaosFixture::<E>::open_with(changes, long_percent).await;
    let mut kills = 0;
    while kills < KILLS_MAX && !is_damaged(&mut fixture).await {
        fixture.wait_until_busy().await;
        fixture.kill_and_recover(victim).await;
        kills += 1;
        sleep(DAMAGE_WITHIN).await;
    }
    eprintln!("{kills} kills");
    let broken = fixture.settle(Allowed::OneLaunch).await;
    assert!(is_among(complaints, &broken), "not caught after {kills} kills: {broken:?}");
}

fn is_among(complaints: &[&str], broken: &[String]) -> bool {
    broken.iter().any(|line| complaints.iter().any(|complaint| line.starts_with(complaint)))
}

async fn is_damaged<E>(fixture: &mut ChaosFixture<E>) -> bool {
    if !fixture.observer.excesses().is_empty() {
        return true;
    }
    for target in &fixture.targets {
        if !target.repeated_marks().await.is_empty() {
            return true;
        }
    }
    false
}
