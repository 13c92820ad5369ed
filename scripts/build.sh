# shellcheck shell=bash
# Building and running what is here. Sourced by ./dev.

# CI builds what was committed; a developer may be changing it.
locked=()
[ -z "${CI:-}" ] || locked=(--locked)

target_dir() { echo "${CARGO_TARGET_DIR:-$root/target}"; }

# The folders that hold a built pgasync, the newest first, each with a colon after it.
binary_dirs() {
    local file
    for file in $(ls -t "$(target_dir)"/{debug,release}/pgasync 2>/dev/null); do
        printf '%s:' "$(dirname "$file")"
    done
}

need_binary() {
    [ -n "$(binary_dirs)" ] && return
    (build -p pgasync) || say "pgasync is not built: going on without it"
}

build() {
    need_cargo
    need_linker
    (cd "$root" && cargo build --quiet "${locked[@]}" "$@")
}

default_major() { echo "${PGASYNC_PG:-15}"; }

# The demo's own code has little to do: an optimised build would only make the first look at it wait.
dev_demo() {
    local keep=
    [[ " $* " != *" --keep "* ]] || keep=1
    need_psql
    build -p pgasync
    PATH=$(target_dir)/debug:$PATH
    [ -n "$keep" ] || with_cluster "$(default_major)" pgasync demo "$@"
    local dir status=0
    dir=$(new_cluster_dir)
    cluster_start "$(default_major)" "$dir"
    (use_cluster "$dir" && pgasync demo "$@") || status=$?
    say "the cluster is kept, below $dir; remove it with: ./dev cluster remove $dir"
    return "$status"
}

dev_bench() {
    PGBENCH=$(pgbench_bin)
    export PGBENCH
    build --release -p pgasync
    with_cluster "$(default_major)" "$(target_dir)/release/pgasync" bench "$@"
}

# The files that psql installs, checked in for users that have psql alone. A test fails when they are stale.
dev_dist() {
    build -p pgasync
    mkdir -p "$root/dist"
    local pgasync
    pgasync=$(target_dir)/debug/pgasync
    "$pgasync" sql client >"$root/dist/async.sql"
    "$pgasync" sql server >"$root/dist/async_server.sql"
    "$pgasync" sql ui >"$root/dist/async_ui.sql"
}
