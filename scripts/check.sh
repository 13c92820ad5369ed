# shellcheck shell=bash
# Tests, and all that CI runs. Sourced by ./dev.

matrix_majors=${PGASYNC_MAJORS:-11 13 15 16 17 18}
# Where the engine that is a process is tested as well; on the default one it always is.
both_majors="11 18"
# Losing power is not among what these tests try; killing servers is, and needs no fsync.
test_settings="fsync=off full_page_writes=off"

# Sets `runner` to nextest, or to what comes closest.
choose_runner() { # PROFILE
    if need_nextest; then
        runner=(cargo nextest run "${locked[@]}" --profile "$1" --no-tests=pass)
    else
        case $1 in
            default) runner=(cargo test "${locked[@]}" -- --skip chaos:: --skip cuts:: --skip holds::) ;;
            matrix | matrix-both) runner=(cargo test "${locked[@]}" -p pgasync-tests --test suite -- --skip chaos:: --skip cuts:: --skip holds::) ;;
            chaos | cuts | holds) runner=(cargo test "${locked[@]}" -p pgasync-tests --test suite -- "$1::" --test-threads=4) ;;
            hosts) runner=(cargo test "${locked[@]}" -p pgasync-tests --features hosts --test suite -- hosts:: --test-threads=2) ;;
        esac
    fi
}

# The binary and the tests, built before any server is started.
build_tests() {
    need_psql
    build -p pgasync
    build --workspace --tests
    PATH=$(target_dir)/debug:$PATH
    export RUST_BACKTRACE=0 # a failed test says what it waited for, and shows the tables
    cd "$root"
}

# dev_test [FILTER...]: without a filter the examples in the documentation run too.
dev_test() {
    build_tests
    [ $# != 0 ] || cargo test --quiet --workspace --doc "${locked[@]}"
    choose_runner default
    [ "${runner[1]}" = test ] || runner+=(--workspace)
    PGASYNC_PG_OPTS="$test_settings ${PGASYNC_PG_OPTS:-}" with_cluster "$(default_major)" "${runner[@]}" "$@"
}

# dev_check [PART...]: all parts, or the ones named.
dev_check() {
    local part begin
    cd "$root"
    need_cargo
    need_linker
    for part in "${@:-style layers test chaos cuts holds hosts matrix}"; do
        # shellcheck disable=SC2086 # the default is a list of words
        for part in $part; do
            say "check: $part"
            begin=$SECONDS
            case $part in
                style) check_style ;;
                layers) check_layers ;;
                test) "$root/dev" test ;;
                chaos) check_chaos ;;
                cuts) check_cuts ;;
                holds) check_holds ;;
                hosts) check_hosts ;;
                matrix) check_matrix ;;
                *) die "no such part: $part (style layers test chaos cuts holds hosts matrix)" ;;
            esac
            say "check: $part took $((SECONDS - begin)) s"
        done
    done
    say "check: done"
}

check_style() {
    cargo fmt --all --check
    cargo clippy --quiet --workspace --all-targets --features pgasync-tests/hosts "${locked[@]}" -- -D warnings
    RUSTDOCFLAGS=-Dwarnings cargo doc --quiet --workspace --no-deps "${locked[@]}"
}

# Each "must not" beside a "must", so that a misspelt name cannot pass.
check_layers() {
    depends() { cargo tree --quiet -p "$1" -e normal -i "$2" >/dev/null 2>&1; }
    depends pgasync-store tokio || die "layers: pgasync-store should depend on tokio"
    depends pgasync pgasync-core || die "layers: pgasync should depend on pgasync-core"
    ! depends pgasync-core tokio || die "layers: pgasync-core must not depend on tokio"
    ! depends pgasync-core tokio-postgres || die "layers: pgasync-core must not depend on tokio-postgres"
    ! depends pgasync-sql tokio || die "layers: pgasync-sql must not depend on tokio"
    ! depends pgasync-store pgasync-runner || die "layers: pgasync-store must not depend on pgasync-runner"
    depends pgasync-pg tokio-postgres || die "layers: pgasync-pg should depend on tokio-postgres"
    depends pgasync-store pgasync-pg || die "layers: pgasync-store should depend on pgasync-pg"
    ! depends pgasync-pg pgasync-core || die "layers: pgasync-pg must not depend on pgasync-core"
    ! depends pgasync-pg pgasync-sql || die "layers: pgasync-pg must not depend on pgasync-sql"
    names() { cargo tree --quiet -e normal --depth 1 --prefix none -p "$1" | grep -q "^$2 "; }
    names pgasync-pg tokio-postgres || die "layers: pgasync-pg should name tokio-postgres"
    local crate
    for crate in pgasync-store pgasync-runner pgasync; do
        names "$crate" pgasync-pg || die "layers: $crate should name pgasync-pg"
        ! names "$crate" tokio-postgres || die "layers: $crate must not name tokio-postgres: pgasync-pg has it"
    done
}

check_chaos() {
    build_tests
    choose_runner chaos
    grep -q '^mod chaos' tests/tests/suite/main.rs || return 0
    PGASYNC_PG_OPTS=$test_settings "$root/dev" pg "$(default_major)" "${runner[@]}"
}

check_holds() {
    build_tests
    choose_runner holds
    PGASYNC_PG_OPTS=$test_settings "$root/dev" pg "$(default_major)" "${runner[@]}"
}

# A sample of the cases; PGASYNC_CUTS=all takes all of them.
check_cuts() {
    build_tests
    choose_runner cuts
    PGASYNC_PG_OPTS=$test_settings "$root/dev" pg "$(default_major)" "${runner[@]}"
}

# Passes where no Docker engine can be had.
check_hosts() {
    trap stop_dockerd EXIT
    if ! need_docker || ! need_image; then
        say "check: hosts is skipped"
        return 0
    fi
    build_tests
    build -p pgasync-tests --features hosts --tests
    choose_runner hosts
    [ "${runner[1]}" = test ] || runner+=(-p pgasync-tests --features hosts --test suite)
    local status=0
    "${runner[@]}" || status=$?
    remove_abandoned_hosts
    stop_dockerd
    return "$status"
}

# Every major that is not the default one (`test` had that): install twice with psql, then the suite.
check_matrix() {
    local major install='pgasync sql all | psql -qX -v ON_ERROR_STOP=1 >/dev/null'
    build_tests
    for major in $matrix_majors; do
        [ "$major" != "$(default_major)" ] || continue
        case " $both_majors " in
            *" $major "*) choose_runner matrix-both ;;
            *) choose_runner matrix ;;
        esac
        say "check: Postgres $major"
        PGASYNC_PG_OPTS=$test_settings "$root/dev" pg "$major" \
            bash -euo pipefail -c "$install; $install; "'exec "$@"' - "${runner[@]}"
    done
}
