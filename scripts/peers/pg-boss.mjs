// CONCURRENCY JOBS: pushes jobs that do nothing, runs them, prints jobs a second.
import { PgBoss } from "pg-boss";

const [concurrency, jobs] = process.argv.slice(2).map(Number);
const boss = new PgBoss({ connectionString: process.env.PGASYNC_BENCH_URL, max: concurrency + 4, supervise: false });
boss.on("error", (error) => { console.error(String(error)); process.exit(1); });
await boss.start();
await boss.createQueue("nothing");
for (let pushed = 0; pushed < jobs; pushed += 5000) {
  await boss.insert("nothing", Array.from({ length: Math.min(5000, jobs - pushed) }, () => ({ data: {} })));
}

// Fetches and completes by itself: the workers of pg-boss poll twice a second at most.
const begin = performance.now();
let done = 0;
const batch = 50;
async function work() {
  for (;;) {
    const taken = await boss.fetch("nothing", { batchSize: batch });
    if (taken.length === 0) return;
    await boss.complete("nothing", taken.map((job) => job.id));
    done += taken.length;
  }
}
await Promise.all(Array.from({ length: concurrency }, work));
if (done !== jobs) { console.error(`${done} of ${jobs} jobs ran`); process.exit(1); }
console.log(jobs / ((performance.now() - begin) / 1000));
process.exit(0);
