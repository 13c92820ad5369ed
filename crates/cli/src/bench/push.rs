//! Pushes a second, beside inserts of as many rows into a plain table.

use std::time::{Duration, Instant};

use futures_util::future::try_join_all;

use super::context::Bench;
use super::databases::{Databases, Layout};
use super::engine::Engine;
use super::results::Case;
use crate::args::EngineName;
use crate::server::error_text;

const WORKERS: u32 = 8;

/// Tasks in an array, and clients.
const CASES: [(i32, u32); 5] = [(1, 1), (1, 50), (1_000, 1), (1_000, 50), (100_000, 1)];

/// Takes five million rows.
const LARGEST_CASE: (i32, u32) = (100_000, 50);

const PUSH: &str = "select count(*) from (select async.push_tasks(array_agg(async.task('select 0', 'bench 0')))
    from generate_series(1, $1::int)) as p";

/// A single task is pushed by the call that is made for it.
const PUSH_ONE: &str = "select async.push_task(async.task('select 0', 'bench 0')) from (select $1::int) as one";

const INSERT: &str = "insert into plain (target, query) select 'bench 0', 'select 0' from generate_series(1, $1::int)";

pub(super) async fn measure(bench: &mut Bench<'_>) -> anyhow::Result<()> {
    let mut cases = CASES.to_vec();
    if bench.options.full {
        cases.push(LARGEST_CASE);
    }
    for (array, clients) in cases {
        if !bench.has_connections(clients + WORKERS) {
            continue;
        }
        let case = Case::of("array", array).and("clients", clients);
        for leader in [None, Some(EngineName::Rust), Some(EngineName::Sql)] {
            if leader.is_some_and(|engine| !bench.engines().contains(&engine)) {
                continue;
            }
            let databases = Databases::create(bench, &Layout::one_target(WORKERS)).await?;
            let Some(engine) = leader else {
                bench.show(&format!("{case}, inserts"));
                databases.run("create table plain (id bigserial primary key, target text, query text)").await?;
                let inserts = repeat(bench, &databases, INSERT, array, clients).await?;
                bench.add(&case, "insert", "rows_per_second", inserts);
                bench.show(&format!("{case}, no leader"));
                let push = if array == 1 { PUSH_ONE } else { PUSH };
                let pushes = repeat(bench, &databases, push, array, clients).await?;
                bench.add(&case, "push, no leader", "rows_per_second", pushes);
                continue;
            };
            bench.show(&format!("{case}, {} engine", engine.name()));
            let mut running = Engine::start(&databases, engine).await?;
            let push = if array == 1 { PUSH_ONE } else { PUSH };
            let pushes = repeat(bench, &databases, push, array, clients).await?;
            bench.add(&case, &format!("push, {} leads", engine.name()), "rows_per_second", pushes);
            running.check().await?;
            running.end(&databases).await?;
        }
    }
    Ok(())
}

/// Rows a second of clients that repeat a statement.
async fn repeat(bench: &Bench<'_>, databases: &Databases, sql: &str, rows: i32, clients: u32) -> anyhow::Result<f64> {
    let sessions = try_join_all((0..clients).map(|_| databases.server.connect())).await?;
    let span = Duration::from_secs_f64(bench.options.seconds);
    let begin = Instant::now();
    let loops = sessions.iter().map(|session| async move {
        let statement = session.prepare(sql).await?;
        let mut done = 0.0;
        while begin.elapsed() < span {
            session.query(&statement, &[&rows]).await?;
            done += f64::from(rows);
        }
        Ok::<f64, pgasync_pg::Error>(done)
    });
    let done: f64 = try_join_all(loops).await.map_err(error_text)?.into_iter().sum();
    Ok(done / begin.elapsed().as_secs_f64())
}
