// A worker that pulls tasks of the target `mail` and runs them itself. The server is that of PG*.
//
// It ends after SIGTERM or SIGINT when the present task has ended. Run as many of them as you like.
// Packages: pg 8.
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

// Waits up to 10 seconds for a task. The deadline comes as seconds from now, because the clocks differ.
const TAKE = `
select task_id, task_data, extract(epoch from times_up - clock_timestamp())::float8 as seconds
from async.get_tasks('mail', 1, '10 seconds')`;
const IS_OPEN = 'select processed is null as open from async.task where task_id = $1';
const FINISH = 'select async.finish(array[$1::bigint], $2::async.finish_status_t, $3)';
const DEFER = 'select async.defer(array[$1::bigint], $2::interval)';

/** The task cannot be done now, and returns to the queue for the time in the message. */
class Later extends Error {}

/** The work of a task. It ends early when `signal` is aborted: its result is not wanted any more. */
async function handle(data, signal) {
  if (!data.to.includes('@')) throw new Error(`${data.to} is no address`);
  if (Date.now() / 1000 < (data.not_before ?? 0)) throw new Later('1 second');
  for (let part = 0; part < (data.parts ?? 1); part++) {
    if (signal.aborted) return;
    await sleep(100);
  }
  console.log(`mail to ${data.to}`);
}

/** Aborts `over` when the deadline of a task passes, or when a client cancels or finishes it. */
function watch(task, seconds, over) {
  const deadline = setTimeout(() => over.abort(), seconds * 1000);
  let asking = false;
  const heartbeat = setInterval(async () => {
    if (asking) return;
    asking = true;
    try {
      const { rows } = await watchers.query(IS_OPEN, [task]);
      if (!rows[0]?.open) over.abort();
    } catch (error) {
      console.error(`task ${task} is not watched: ${error.message}`);
    } finally {
      asking = false;
    }
  }, 1000);
  return () => {
    clearTimeout(deadline);
    clearInterval(heartbeat);
  };
}

/** Runs one task. Returns the statement that reports its outcome, or null if it is over. */
async function work({ task_id: task, task_data: data, seconds }) {
  const over = new AbortController();
  const unwatch = watch(task, seconds, over);
  let report;
  try {
    await handle(data, over.signal);
    report = [FINISH, [task, 'FINISHED', null]];
  } catch (error) {
    report = error instanceof Later ? [DEFER, [task, error.message]] : [FINISH, [task, 'FAILED', String(error)]];
  } finally {
    unwatch();
  }
  // After the deadline the task may belong to another worker, so nothing is reported.
  return over.signal.aborted ? null : report;
}

async function run() {
  let report = null;
  while (!stopping || report) {
    const client = new pg.Client({ application_name: 'mail worker' });
    client.on('error', () => {}); // the next query says so
    try {
      await client.connect();
      while (!stopping || report) {
        if (report) await client.query(...report);
        report = null;
        for (const task of stopping ? [] : (await client.query(TAKE)).rows) report = await work(task);
      }
    } catch (error) {
      // An error with an SQLSTATE outside of class 57 (the server ends the session) or 08 is a mistake of the program.
      if (error.code?.length === 5 && !/^(57|08)/.test(error.code)) throw error;
      // The connection is lost. A report that was lost is repeated: it changes nothing if it had arrived.
      console.error(`trying again in a second: ${error.message}`);
      await sleep(1000);
    } finally {
      await client.end().catch(() => {});
    }
  }
}

let stopping = false;
const watchers = new pg.Pool({ max: 1 });
watchers.on('error', () => {});
for (const name of ['SIGTERM', 'SIGINT']) process.on(name, () => (stopping = true));
await run();
await watchers.end();
