#!/usr/bin/env bash
# One language: scenario.sh NAME PUSH WORKER, where PUSH and WORKER are commands. PG* name a server with an orchestrator,
# the target `mail` and the table `orders`. What the programs promise is asked of the database.
set -euo pipefail
name=$1 push=$2 worker=$3
log=$(mktemp)
worker_pid=

sql() { psql -qXAt -v ON_ERROR_STOP=1 -c "$1"; }
fail() { printf 'languages: %s: %s\n' "$name" "$*" >&2; sed 's/^/  /' "$log" >&2; exit 1; }
leave() { [ -z "$worker_pid" ] || kill -KILL "$worker_pid" 2>/dev/null || true; rm -f "$log"; }
trap leave EXIT

# Waits up to 20 seconds for a condition in SQL.
wait_for() {
    local try
    for try in {1..200}; do
        [ "$(sql "select coalesce(($1), false)")" = f ] || return 0
        sleep 0.1
    done
    fail "did not come true: $1"
}
mail() { sql "select async.push(null, 'mail', task_data => '$1', timeout => '${2:-1 minute}', source => '$name')"; }
start() { $worker >>"$log" 2>&1 & worker_pid=$!; }
ended() { wait_for "select finish_status = '$2' and $3 from async.task where task_id = $1"; }

sql 'truncate orders'
# A push in a transaction: both rows, or none.
$push "customer@example.com" >>"$log" 2>&1 || fail "the push failed"
order=$(sql "select task_id from orders where task_id is not null")
[ -n "$order" ] || fail "the order has no task"
before=$(sql 'select count(*) from async.task')
! $push "$(printf 'x%.0s' {1..200})" >>"$log" 2>&1 || fail "an address that is too long was accepted"
[ "$(sql 'select count(*) from orders')" = 1 ] || fail "an order was committed without its task"
[ "$(sql 'select count(*) from async.task')" = "$before" ] || fail "a task was committed without its order"

start
ended "$order" FINISHED 'not failed'
grep -q 'mail to customer@example.com' "$log" || fail "the task was not worked on"

# An error of the work.
bad=$(mail '{"to": "nobody"}')
ended "$bad" FAILED "processing_error like '%nobody%is no address%'"

# Later: the task returns to the queue, and ends in a second run.
later=$(mail "{\"to\": \"later@example.com\", \"not_before\": $(($(date +%s) + 2))}")
ended "$later" FINISHED 'true'
[ "$(sql "select clock_timestamp() - entered > '1 second' from async.task where task_id = $later")" = t ] || fail "too early"

# A cancel: the work stops, and the worker takes the next task.
long=$(mail '{"to": "long@example.com", "parts": 200}')
wait_for "select consumed is not null from async.task where task_id = $long"
sql "select async.cancel(array[$long])" >/dev/null
ended "$long" CANCELED 'true'
next=$(mail '{"to": "next@example.com"}')
ended "$next" FINISHED "processed - entered < '10 seconds'"

# A deadline: the work stops, and reports nothing.
slow=$(mail '{"to": "slow@example.com", "parts": 200}' '2 seconds')
ended "$slow" TIMED_OUT 'true'
next=$(mail '{"to": "after@example.com"}')
ended "$next" FINISHED "processed - entered < '10 seconds'"
! grep -q 'mail to \(long\|slow\)@' "$log" || fail "the work of a task that was over went on"

# The worker's sessions are lost: it connects again.
wait_for "select count(*) > 0 from pg_stat_activity where query like '%async.get_tasks(%mail%' and pid <> pg_backend_pid()
  and state = 'active'"
sql "select pg_terminate_backend(pid) from pg_stat_activity where query like '%async.get_tasks(%mail%'
  and pid <> pg_backend_pid()" >/dev/null
next=$(mail '{"to": "again@example.com"}')
ended "$next" FINISHED 'true'

# It ends after a signal, when its task has ended.
last=$(mail '{"to": "last@example.com", "parts": 15}')
wait_for "select consumed is not null from async.task where task_id = $last"
kill -TERM "$worker_pid"
status=0
wait "$worker_pid" || status=$?
worker_pid=
[ "$status" = 0 ] || fail "the worker ended with $status"
ended "$last" FINISHED 'true'
printf 'languages: %s: push and worker do what their page says\n' "$name" >&2
