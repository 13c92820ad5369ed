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
    (build_all) || say "pgasync is not built: going on without it"
}

build() {
    need_cargo
    need_linker
    (cd "$root" && cargo build --quiet "${locked[@]}" "$@")
}

# The program and all crates at once: with `-p pgasync`, crates that the others use with more features would be
# compiled twice.
build_all() { build --workspace "$@"; }

default_major() { echo "${PGASYNC_PG:-15}"; }

# The demo's own code has little to do: an optimised build would only make the first look at it wait.
dev_demo() {
    local keep=
    [[ " $* " != *" --keep "* ]] || keep=1
    need_psql
    build_all
    PATH=$(target_dir)/debug:$PATH
    [ -n "$keep" ] || with_cluster "$(default_major)" pgasync demo "$@"
    local dir status=0
    dir=$(new_cluster_dir)
    cluster_start "$(default_major)" "$dir"
    (use_cluster "$dir" && pgasync demo "$@") || status=$?
    say "the cluster is kept, below $dir; remove it with: ./dev cluster remove $dir"
    return "$status"
}

# dev_bench [--peers] ARGUMENT...: `pgasync bench` on a private cluster. With --peers the scenario peers alone, unless
# others are named.
dev_bench() {
    local arguments=() argument peers=
    for argument in "$@"; do
        if [ "$argument" = --peers ]; then peers=1; else arguments+=("$argument"); fi
    done
    if [ -n "$peers" ]; then
        install_peers
        arguments+=(--peers "$(peers_home)" peers)
    fi
    PGBENCH=$(pgbench_bin)
    export PGBENCH
    build --release -p pgasync
    with_cluster "$(default_major)" "$(target_dir)/release/pgasync" bench "${arguments[@]}"
}

peers_home() { echo "$(pg_cache)/peers"; }

# Installs the other queues, in the versions that scripts/peers names, beside their drivers. A queue that cannot be
# installed is reported here, and has no number in the benchmark.
install_peers() {
    local home
    home=$(peers_home)
    mkdir -p "$home"
    if ! cmp -s "$root/scripts/peers/package.json" "$home/package.json" || [ ! -d "$home/node_modules" ]; then
        if have npm; then
            cp "$root/scripts/peers/package.json" "$home/"
            (cd "$home" && npm install --no-audit --no-fund --no-package-lock --silent </dev/null >&2) ||
                say "bench: graphile-worker and pg-boss could not be installed with npm"
        else
            say "bench: npm is missing: graphile-worker and pg-boss are left out"
        fi
    fi
    if ! cmp -s "$root/scripts/peers/requirements.txt" "$home/requirements.txt" || [ ! -x "$home/venv/bin/python" ]; then
        if have python3 && python3 -m venv "$home/venv"; then
            "$home/venv/bin/pip" install --quiet --disable-pip-version-check \
                -r "$root/scripts/peers/requirements.txt" </dev/null >&2 &&
                cp "$root/scripts/peers/requirements.txt" "$home/" || say "bench: pgqueuer could not be installed with pip"
        else
            say "bench: python3 (with venv) is missing: pgqueuer is left out"
        fi
    fi
    cp "$root"/scripts/peers/*.{mjs,py} "$home/"
}

# The files that psql installs, checked in for users that have psql alone. A test fails when they are stale.
dev_dist() {
    build_all
    mkdir -p "$root/dist"
    local pgasync
    pgasync=$(target_dir)/debug/pgasync
    "$pgasync" sql client >"$root/dist/async.sql"
    "$pgasync" sql server >"$root/dist/async_server.sql"
    "$pgasync" sql ui >"$root/dist/async_ui.sql"
}
