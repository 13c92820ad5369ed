#!/usr/bin/env bash
# The Debian package on a host with systemd, with the commands of docs/installing.md: installed, started, killed, frozen,
# stopped, disabled, upgraded, purged.
scenario=service
# shellcheck source=scripts/deploy/common.sh
. "$(dirname "$0")/common.sh"
cd "$(dirname "$0")/../.."

leave() {
    docker rm --force "$name" >/dev/null 2>&1 || true
    docker image rm --force "$name" >/dev/null 2>&1 || true
    rm -f "$log"
}
trap leave EXIT

host() { docker exec "$name" "$@"; }
as_root() { docker exec "$name" bash -euo pipefail -c "$1"; }
sql() { host runuser -u postgres -- psql -qXAt -v ON_ERROR_STOP=1 -d jobs -c "$1"; }
true_in_sql() { [ "$(sql "select coalesce(($1), false)")" = t ]; }
unit() { host systemctl show --property "$1" --value pgasync; }
done_at_target() {
    quietly "no task is done" host runuser -u pgasync -- \
        pgasync push --server-file /etc/pgasync/server -t shop --wait 'select 1'
}
# A task that runs until it is ended; prints its id.
start_long_task() {
    local task
    task=$(sql "select async.push('select pg_sleep(300)', 'shop')")
    eventually 30 "the long task runs" true_in_sql "select consumed is not null from async.task where task_id = $task"
    echo "$task"
}
is_running() { [ "$(unit ActiveState)/$(unit SubState)" = active/running ]; }
restarted() { [ "$(unit NRestarts)" -ge "$1" ] && is_running; }
# Everything on the host but what it writes about itself.
files() {
    as_root "find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /var/log -o -path /var/cache \
        -o -path /var/lib/dpkg -o -path /var/lib/apt -o -path /var/lib/postgresql \) -prune -o -print | sort"
}
accounts() { as_root "getent passwd; getent group" | sort; }

quietly "the package is not built" cargo deb --quiet --offline --locked -p pgasync --output "target/debian/$name.deb"
package=target/debian/$name.deb
quietly "the host's image is not built" docker build --network host --build-arg "DEBIAN=$DEPLOY_DEBIAN" -t "$name" \
    -f scripts/deploy/systemd.Dockerfile scripts/deploy
# As much as --privileged gives where a machine may give it.
quietly "the host does not start" docker run --detach --name "$name" --hostname pgasync --cap-add ALL \
    --cap-drop SYS_RESOURCE --security-opt seccomp=unconfined --security-opt apparmor=unconfined \
    --security-opt systempaths=unconfined --volume /sys/fs/cgroup:/sys/fs/cgroup:rw --tmpfs /run --tmpfs /run/lock "$name"
eventually 60 "the host has started" host systemctl is-active --quiet multi-user.target
eventually 60 "its Postgres has started" host runuser -u postgres -- pg_isready -q
files_before=$(files) accounts_before=$(accounts)

quietly "the package is not copied" docker cp "$package" "$name:/tmp/pgasync.deb"
rm -f "$package"
quietly "the package is not installed" host apt-get install -y /tmp/pgasync.deb
is "$(target/release/pgasync --version)" "the version" host pgasync --version
is inactive "the service after the installation" unit ActiveState
is disabled "the service after the installation" unit UnitFileState
grep -q 'missing\|changed' <(host dpkg --verify pgasync) && fail "dpkg --verify complains"
holds "the package is installed"

quietly "the databases are not made" as_root "runuser -u postgres -- psql -X -v ON_ERROR_STOP=1 -d postgres \
    -c \"create role pgasync login password 'secret'\" -c 'create database jobs owner pgasync' -c 'create database shop owner pgasync'
    runuser -u postgres -- psql -X -v ON_ERROR_STOP=1 -d jobs -c 'create extension dblink'"
quietly "the connection string is not written" as_root "
    echo 'host=localhost dbname=jobs user=pgasync password=secret' > /etc/pgasync/server
    chown pgasync: /etc/pgasync/server
    chmod 600 /etc/pgasync/server"
quietly "init failed" host pgasync init --server-file /etc/pgasync/server
quietly "the target is not configured" sql "select async.set_target('shop',
    '{\"connection_string\": \"host=localhost dbname=shop user=pgasync password=secret\", \"max_workers\": 4}')"
# Type=notify: the call returns when the process has said that it is ready.
quietly "the unit does not start" host systemctl enable --now pgasync
is_running || fail "the unit is $(unit ActiveState)/$(unit SubState)"
is pgasync "the account of the process" host ps -o user= -p "$(unit MainPID)"
eventually 30 "it leads" true_in_sql "select exists (select from async.v_leader)"
done_at_target
holds "started, ready, a task is done"
said=$(host systemd-analyze security --no-pager pgasync 2>>"$log" | tail -n 1)
holds "$said"

task=$(start_long_task)
quietly "not killed" host systemctl kill --signal KILL --kill-who main pgasync
eventually 60 "it is restarted after SIGKILL" restarted 1
eventually 60 "the task that ran is resolved" true_in_sql \
    "select processing_error like '%outcome unknown%' from async.task where task_id = $task"
done_at_target
holds "restarted after SIGKILL"

quietly "not stopped" host systemctl kill --signal STOP --kill-who main pgasync
eventually 90 "it is restarted by the watchdog" restarted 2
as_root "journalctl --unit pgasync --no-pager" >>"$log"
host journalctl --unit pgasync --no-pager --grep 'Watchdog timeout' --quiet >>"$log" || fail "it was not the watchdog"
done_at_target
holds "ended by the watchdog after SIGSTOP, and restarted"

task=$(start_long_task)
quietly "systemctl stop failed" host systemctl stop pgasync
is inactive "the unit after a stop" unit ActiveState
is success "the unit after a stop" unit Result
is 0 "the exit code after a stop" unit ExecMainStatus
is READY "the task that was running" sql "select async.task_execution_state(t) from async.task t where task_id = $task"
quietly "the task is not canceled" sql "select async.cancel(array[$task])"
holds "stop ends with 0, and gives the running task back"

quietly "the unit does not start again" host systemctl start pgasync
quietly "the orchestrator is not disabled" sql 'update async.control set enabled = false'
# The leader ends with 0, is restarted, and ends with 4.
eventually 60 "a disabled orchestrator ends" prints 4 unit ExecMainStatus
restarts=$(unit NRestarts)
sleep 8 # more than RestartSec
is "$restarts" "the restarts of a disabled orchestrator" unit NRestarts
is failed "a disabled orchestrator" unit ActiveState
quietly "the orchestrator is not enabled" sql 'update async.control set enabled = true'
quietly "the unit does not start after it was enabled" host systemctl start pgasync
done_at_target
holds "a disabled orchestrator is left alone"

before=$(unit MainPID)
quietly "the package is not upgraded" host apt-get install -y --reinstall /tmp/pgasync.deb
eventually 60 "it runs after an upgrade" is_running
[ "$(unit MainPID)" != "$before" ] || fail "an upgrade leaves the old process"
done_at_target
holds "an upgrade restarts the service"

quietly "the package is not removed" host apt-get remove -y pgasync
! host pgrep -x pgasync >>"$log" || fail "the process goes on after the package was removed"
as_root 'test -s /etc/pgasync/server' || fail "a removal deletes the configuration"
quietly "the package is not purged" host apt-get purge -y pgasync
is "$accounts_before" "the accounts after a purge" accounts
left=$(comm -13 <(echo "$files_before") <(files))
[ -z "$left" ] || fail "a purge leaves $left"
is not-found "the unit after a purge" unit LoadState
holds "a purge leaves nothing"
