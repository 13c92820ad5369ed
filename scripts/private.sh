# shellcheck shell=bash
# Commands that run something on a private cluster. Sourced by ./dev.

dev_cluster() {
    local action=${1:-}
    case $action:$# in
        start:[3-9] | start:[1-9][0-9]) shift; cluster_start "$@"; cat "$2/env" ;;
        stop:2 | stop:3) shift; cluster_stop "$@" ;;
        remove:2) cluster_remove "$2" ;;
        *) usage >&2; exit 2 ;;
    esac
}

# Prints a new folder for a cluster, where the unprivileged user can reach it.
new_cluster_dir() {
    local parent=/tmp
    [ "$(id -u)" = 0 ] || parent=${TMPDIR:-/tmp}
    mktemp -d "${PGASYNC_CLUSTERS:-$parent}/pgasync.XXXXXX"
}

# Sets PGASYNC_CLUSTERS, where clusters for tests live, to memory if there is plenty: each test creates two databases
# of 300 files, and on a disk that takes a quarter of the time of all tests.
keep_clusters_in_memory() {
    local kind free available
    [ -z "${PGASYNC_CLUSTERS:-}" ] || return 0
    read -r kind free < <(df --output=fstype,avail /dev/shm 2>/dev/null | tail -n 1) || return 0
    available=$(awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo)
    if [ "$kind" = tmpfs ] && [ "$free" -ge 4000000 ] && [ "$available" -ge 8000000 ]; then
        export PGASYNC_CLUSTERS=/dev/shm
    fi
}

# Sets PG* to the cluster in DIR, and nothing else that a client of Postgres would read.
use_cluster() {
    local name
    for name in $(compgen -e | grep '^PG' | grep -v '^PGASYNC'); do unset "$name"; done
    set -a
    # shellcheck source=/dev/null
    . "$1/env"
    set +a
}

# dev_pg MAJOR COMMAND...
dev_pg() {
    [ $# -ge 2 ] || { usage >&2; exit 2; }
    local major=$1
    shift
    need_psql
    need_binary
    PATH=$(binary_dirs)$PATH
    with_cluster "$major" "$@"
}

# with_cluster MAJOR COMMAND...: a fresh cluster, the command, no cluster; exits as the command did.
with_cluster() {
    local major=$1
    shift
    cluster_dir=$(new_cluster_dir)
    child=
    trap 'leave_cluster' EXIT
    trap 'interrupted 130' INT
    trap 'interrupted 143' TERM HUP
    cluster_start "$major" "$cluster_dir"
    use_cluster "$cluster_dir"
    run_and_exit "$@"
}

# run_and_exit COMMAND...: runs the command so that a signal to this script ends it; exits as the command did.
run_and_exit() {
    local status=0
    if [ -t 0 ]; then
        "$@" || status=$? # the terminal's ^C reaches the command by itself
    else
        set -m # a process group of its own, so that all of it can be ended
        "$@" <&0 &
        child=$!
        set +m
        wait "$child" || status=$?
        child=
    fi
    exit "$status"
}

interrupted() {
    trap '' INT TERM HUP
    if [ -n "$child" ]; then
        kill -TERM -- "-$child" 2>/dev/null || true
        wait "$child" 2>/dev/null || true
    fi
    exit "$1"
}

leave_cluster() {
    trap '' INT TERM HUP
    cluster_remove "$cluster_dir"
    remove_abandoned
}

# A test that was killed could not remove its own clusters; their folders carry its process id.
remove_abandoned() {
    local dir pid
    for dir in /tmp/pgasync-test.* /dev/shm/pgasync-test.*; do
        pid=${dir#*-test.}
        [ ! -d "$dir" ] || [ -d "/proc/${pid%%.*}" ] || cluster_remove "$dir"
    done
}
