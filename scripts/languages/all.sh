#!/usr/bin/env bash
# Every language at the same time, each with a database and an orchestrator of its own on the server of PG*.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$here/../..
pids=()

# language NAME PUSH WORKER
language() {
    (
        export PGDATABASE=language_$1
        createdb "$PGDATABASE"
        pgasync init >/dev/null
        psql -qXAt -v ON_ERROR_STOP=1 -f "$here/setup.sql" >/dev/null
        pgasync run --log error &
        runner=$!
        trap 'kill "$runner" 2>/dev/null; wait "$runner" || true' EXIT
        "$here/scenario.sh" "$@"
        if [ "$1" = rust ]; then
            "$RUST_EXAMPLES/failed_tasks" | grep -q '^[0-9]* "nobody" is no address$' ||
                { echo 'languages: rust: failed_tasks does not find the failed task' >&2; exit 1; }
        fi
    ) &
    pids+=($!)
}

language python "$LANGUAGES_HOME/venv/bin/python $root/examples/python/push.py" \
    "$LANGUAGES_HOME/venv/bin/python $root/examples/python/worker.py"
language node "node $LANGUAGES_HOME/node/push.mjs" "node $LANGUAGES_HOME/node/worker.mjs"
language rust "$RUST_EXAMPLES/push_in_transaction" "$RUST_EXAMPLES/worker"
[ -z "$LANGUAGES_GO" ] || language go "$LANGUAGES_GO/push" "$LANGUAGES_GO/worker"

failed=0
for pid in "${pids[@]}"; do wait "$pid" || failed=$((failed + 1)); done
printf '%s passed, %s failed\n' $((${#pids[@]} - failed)) "$failed"
[ "$failed" = 0 ]
