//! The rate while an open transaction holds back the xmin horizon, minute by minute.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::context::Bench;
use super::databases::{Databases, Layout};
use super::engine::Engine;
use super::load::Tasks;
use super::results::Case;
use crate::server::error_text;

const WORKERS: u32 = 8;

/// Tasks that are pushed together, and at least so many wait.
const PUSHED: u32 = 20_000;

const LOOK_INTERVAL: Duration = Duration::from_millis(200);

pub(super) async fn measure(bench: &mut Bench<'_>) -> anyhow::Result<()> {
    let (spans, span, unit) = match bench.options.full {
        true => (10, Duration::from_secs(60), "minute"),
        false => (6, Duration::from_secs(10), "10 s"),
    };
    for engine in bench.engines() {
        let databases = Databases::create(bench, &Layout::one_target(WORKERS)).await?;
        let mut running = Engine::start(&databases, engine).await?;
        let mut queue = Queue { first: 0, pushed: 0 };
        let mut holder = None;
        queue.run(&databases, &mut running, Duration::from_secs(1)).await?;
        for n in 0..=spans {
            let case = match n {
                0 => Case::named("horizon", "free"),
                n => Case::named("horizon", &format!("held, {unit} {n}")),
            };
            bench.show(&format!("{} engine, {case}", engine.name()));
            if n == 1 {
                let session = databases.server.connect().await?;
                let hold = "begin isolation level repeatable read; select count(*) from async.target";
                session.batch_execute(hold).await.map_err(error_text)?;
                holder = Some(session);
            }
            let rate = queue.run(&databases, &mut running, span).await?;
            bench.add(&case, engine.name(), "per_second", rate);
            if let Some(first) = bench.first_of(engine.name(), "per_second") {
                bench.add(&case, engine.name(), "share_of_first", rate / first);
            }
        }
        drop(holder);
        running.end(&databases).await?;
    }
    Ok(())
}

/// The tasks in the order of their numbers, which is that of their claims.
struct Queue {
    /// The first task that was not claimed when the queue was last read.
    first: i64,
    pushed: i64,
}

impl Queue {
    /// Tasks a second that are claimed. Keeps tasks waiting.
    async fn run(&mut self, databases: &Databases, engine: &mut Engine, span: Duration) -> anyhow::Result<f64> {
        let (begin, first) = (Instant::now(), self.first);
        while begin.elapsed() < span {
            if self.pushed - self.first < i64::from(PUSHED) {
                Tasks::of(PUSHED).push(databases).await?;
                self.pushed += i64::from(PUSHED);
            }
            sleep(LOOK_INTERVAL).await;
            engine.check().await?;
            let sql = "select coalesce(min(task_id), $2) from async.task where task_id >= $1 and consumed is null";
            let row = databases.session.query_one(sql, &[&self.first, &(self.pushed + 1)]).await;
            self.first = row.map_err(error_text)?.try_get(0)?;
        }
        #[allow(clippy::cast_precision_loss, reason = "a difference of few millions")]
        let claimed = (self.first - first) as f64;
        Ok(claimed / begin.elapsed().as_secs_f64())
    }
}
