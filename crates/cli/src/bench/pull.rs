//! Tasks that clients pull and finish, beside a plain table that is read with `skip locked`.

use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use serde_json::json;

use super::context::Bench;
use super::databases::{Databases, Layout};
use super::engine::Engine;
use super::results::Case;
use crate::server::error_text;

const CLIENTS: u32 = 8;

/// Tasks that a client takes at once.
const BATCHES: [i32; 2] = [1, 20];

/// More tasks than the clients take in a measurement.
const TASKS_PER_SECOND_MAX: f64 = 10_000.0;

const PLAIN_TAKE: &str = "with taken as (select id from plain where state = 0 order by id limit $1::int
    for no key update skip locked)
    update plain p set state = 1 from taken t where p.id = t.id returning p.id";

const PLAIN_FINISH: &str = "update plain set state = 2 where id = any($1)";

const TAKE: &str = "select task_id from async.get_tasks('pulled', $1::int, '1 second')";

const FINISH: &str = "select async.finish($1::bigint[], 'FINISHED', null)";

pub(super) async fn measure(bench: &mut Bench<'_>) -> anyhow::Result<()> {
    // The value is positive, and far below the largest one.
    #[allow(clippy::cast_possible_truncation, reason = "see above")]
    let count = (TASKS_PER_SECOND_MAX * bench.options.seconds) as i32;
    for batch in BATCHES {
        let case = Case::of("batch", batch).and("clients", CLIENTS);
        bench.show(&format!("{case}, plain table"));
        let pulled = json!({"target": "pulled", "asynchronous_finish": true, "max_workers": CLIENTS * 40});
        let layout = Layout { more_targets: vec![pulled], ..Layout::one_target(CLIENTS) };
        let databases = Databases::create(bench, &layout).await?;
        let plain = "create table plain (id bigserial primary key, state int not null default 0);
            create index on plain (id) where state = 0";
        databases.run(plain).await?;
        let fill = "insert into plain (state) select 0 from generate_series(1, $1::int)";
        databases.session.execute(fill, &[&count]).await.map_err(error_text)?;
        let taken = repeat(bench, &databases, [PLAIN_TAKE, PLAIN_FINISH], batch).await?;
        bench.add(&case, "skip locked", "per_second", taken);
        for engine in bench.engines() {
            bench.show(&format!("{case}, {} engine", engine.name()));
            let databases = Databases::create(bench, &layout).await?;
            let mut running = Engine::start(&databases, engine).await?;
            let push = "select count(*) from (select async.push_tasks(array_agg(async.task(null, 'pulled')))
                from generate_series(1, $1::int)) as p";
            databases.session.query(push, &[&count]).await.map_err(error_text)?;
            let taken = repeat(bench, &databases, [TAKE, FINISH], batch).await?;
            running.check().await?;
            bench.add(&case, engine.name(), "per_second", taken);
            running.end(&databases).await?;
        }
    }
    Ok(())
}

/// Tasks a second of clients that take and finish.
async fn repeat(
    bench: &Bench<'_>,
    databases: &Databases,
    [take, finish]: [&str; 2],
    batch: i32,
) -> anyhow::Result<f64> {
    let sessions = try_join_all((0..CLIENTS).map(|_| databases.server.connect())).await?;
    let span = Duration::from_secs_f64(bench.options.seconds);
    let begin = Instant::now();
    let loops = sessions.iter().map(|session| async move {
        let (take, finish) = (session.prepare(take).await?, session.prepare(finish).await?);
        let mut done = 0_u32;
        while begin.elapsed() < span {
            let rows = session.query(&take, &[&batch]).await?;
            let ids = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<i64>, _>>()?;
            if !ids.is_empty() {
                session.query(&finish, &[&ids]).await?;
                done += u32::try_from(ids.len()).unwrap_or_default();
            }
        }
        anyhow::Ok(f64::from(done))
    });
    let done: f64 = try_join_all(loops).await?.into_iter().sum();
    Ok(done / begin.elapsed().as_secs_f64())
}
