// CONCURRENCY JOBS: pushes jobs that do nothing, runs them, prints jobs a second.
import { makeWorkerUtils, run } from "graphile-worker";
import pg from "pg";

const [concurrency, jobs] = process.argv.slice(2).map(Number);
const connectionString = process.env.PGASYNC_BENCH_URL;
const utils = await makeWorkerUtils({ connectionString });
await utils.migrate();
const client = new pg.Client(connectionString);
await client.connect();
const push = "select graphile_worker.add_jobs(array(select json_populate_record(null::graphile_worker.job_spec, " +
  "json_build_object('identifier', 'nothing', 'payload', json_build_object())) from generate_series(1, $1::int)))";
await client.query(push, [jobs]);
await client.end();

let done = 0;
let begin;
const finished = Promise.withResolvers?.() ?? deferred();
function deferred() {
  const made = {};
  made.promise = new Promise((resolve) => { made.resolve = resolve; });
  return made;
}
const quiet = () => () => {};
const { Logger } = await import("graphile-worker");
const runner = await run({
  logger: new Logger(quiet),
  preset: {
    worker: {
      connectionString, concurrentJobs: concurrency, maxPoolSize: concurrency + 4, pollInterval: 100,
      localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0,
    },
  },
  taskList: {
    nothing: async () => {
      begin ??= performance.now();
      if (++done === jobs) finished.resolve();
    },
  },
});
await finished.promise;
// The last jobs are marked as done when the runner has stopped.
await runner.stop();
console.log(jobs / ((performance.now() - begin) / 1000));
await utils.release();
process.exit(0);
