#!/usr/bin/env bash
# compose.yaml, with the commands of docs/installing.md: a task at each target, health, a lost leader, an orderly stop.
scenario=compose
# shellcheck source=scripts/deploy/common.sh
. "$(dirname "$0")/common.sh"
cd "$(dirname "$0")/../.."
export POSTGRES_IMAGE=$DEPLOY_POSTGRES DEPLOY_IMAGE=$name DEPLOY_DEBIAN

compose() {
    docker compose --project-name "$name" -f deploy/docker/compose.yaml -f scripts/deploy/compose.override.yaml "$@"
}
leave() {
    compose down --volumes --timeout 1 >/dev/null 2>&1 || true
    docker image rm --force "$name" >/dev/null 2>&1 || true
    rm -f "$log"
}
trap leave EXIT

sql() { compose exec -T server psql -qXAt -v ON_ERROR_STOP=1 -U pgasync -d pgasync -c "$1" </dev/null; }
true_in_sql() { [ "$(sql "select coalesce(($1), false)")" = t ]; }
runners() { compose ps --quiet runner; }
health() { docker inspect --format '{{.State.Health.Status}}' "$1"; }
healthy() {
    local all container
    all=$(runners)
    [ "$(wc -w <<<"$all")" = "$1" ] || return 1
    for container in $all; do [ "$(health "$container")" = healthy ] || return 1; done
}
main_pid() { docker inspect --format '{{.State.Pid}}' "$1"; }
# The container whose session leads.
leader() {
    local address container
    address=$(sql 'select host(client_addr) from pg_stat_activity where pid = (select pid from async.control)')
    for container in $(runners); do
        [ -z "$address" ] || [ "$(docker inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$container")" != "$address" ] ||
            echo "$container"
    done
}
# A task that runs until it is ended; prints its id.
start_long_task() {
    local task
    task=$(sql "select async.push('select pg_sleep(300)', 'shop')")
    eventually 30 "the long task runs" true_in_sql "select consumed is not null from async.task where task_id = $task"
    echo "$task"
}
# done_at TARGET: a task that is pushed now ends there.
done_at() { quietly "no task is done at $1" compose run --rm --no-deps setup push -t "$1" --wait 'select 1'; }

quietly "up failed" compose up --build --detach
eventually 90 "the orchestrator is healthy" healthy 1
done_at shop
done_at warehouse
is 'shop FINISHED,warehouse FINISHED' "the tasks" sql \
    "select string_agg(target || ' ' || finish_status, ',' order by task_id) from async.task"
quietly "status failed" compose run --rm --no-deps setup status
holds "a task is done at each target"

runner=$(runners)
is 10001 "the user of the orchestrator" docker exec "$runner" id -u
! docker exec "$runner" touch /tmp/file 2>>"$log" || fail "the root file system can be written"
is 0000000000000000 "its capabilities" docker exec "$runner" awk '/^CapBnd/ { print $2 }' /proc/1/status
kill -STOP "$(main_pid "$runner")"
eventually 90 "an orchestrator that stands still is unhealthy" prints unhealthy health "$runner"
kill -CONT "$(main_pid "$runner")"
eventually 60 "it is healthy again" prints healthy health "$runner"
holds "the health check follows the orchestrator"

# Services that end by themselves may run again.
quietly "the second up failed" compose up --detach --scale runner=2
eventually 90 "two orchestrators are healthy" healthy 2
lost=$(leader)
[ "$(wc -w <<<"$lost")" = 1 ] || fail "the leader is none of the orchestrators: $lost"
task=$(start_long_task)
quietly "the leader is not killed" docker kill "$lost"
other_leads() { local now; now=$(leader); [ -n "$now" ] && [ "$now" != "$lost" ]; }
eventually 60 "the other orchestrator leads" other_leads
done_at shop
eventually 60 "the task of the lost leader is resolved" true_in_sql \
    "select finish_status = 'FAILED' and processing_error like '%outcome unknown%' from async.task where task_id = $task"
holds "the other orchestrator took over after a kill"

quietly "the killed orchestrator does not come back" compose up --detach --scale runner=2
eventually 90 "two orchestrators are healthy again" healthy 2
crashed=$(leader)
kill -KILL "$(main_pid "$crashed")"
restarted() { [ "$(docker inspect --format '{{.RestartCount}}' "$crashed")" = 1 ]; }
eventually 60 "a process that crashed is restarted" restarted
eventually 90 "two orchestrators are healthy after a crash" healthy 2
done_at warehouse
holds "a crashed process is restarted"

task=$(start_long_task)
stopped=$(runners)
quietly "stop failed" compose stop runner
for container in $stopped; do
    is 0 "the exit code of a stopped orchestrator" docker inspect --format '{{.State.ExitCode}}' "$container"
done
is READY "the task that was running" sql "select async.task_execution_state(t) from async.task t where task_id = $task"
holds "stop gives running tasks back"

quietly "down failed" compose down --volumes
for kind in 'container ls --all' 'volume ls' 'network ls'; do
    # shellcheck disable=SC2086 # a list of words
    is '' "what down leaves" docker $kind --quiet --filter "label=com.docker.compose.project=$name"
done
