# shellcheck shell=bash
# Tests, and the parts of CI. Sourced by ./dev.

matrix_majors=${PGASYNC_MAJORS:-11 13 15 16 17 18}
# The Rust engine is tested on these majors and on the default one.
both_majors=${PGASYNC_BOTH_MAJORS-11 18}
# These tests kill servers but never cut the power, so they need no fsync.
test_settings="fsync=off full_page_writes=off"

# Sets `runner` to nextest, or to `cargo test` with similar filters where nextest is missing.
choose_runner() { # PROFILE
    if need_nextest; then
        runner=(cargo nextest run "${locked[@]}" --profile "$1" --no-tests=pass)
    else
        case $1 in
            default) runner=(cargo test "${locked[@]}" -- --skip chaos:: --skip between_engines:: --skip bench:: --skip counted:: --skip cuts:: --skip fuzz:: --skip holds:: --skip upgrades:: --skip metrics:: --skip traces:: --skip judged:: --skip web:: --skip attacks:: --skip process:: --skip store_worker:: --skip conformance::targets_down:: --skip conformance::dead_hosts:: --skip conformance::sessions_at_targets:: --skip conformance::faults:: --skip conformance::answers:: --skip conformance::successors:: --skip conformance::leadership:: --skip conformance::receipts:: --skip conformance::schedules:: --skip conformance::results:: --skip conformance::paused:: --skip conformance::ended_by:: --skip conformance::own_tasks:: --skip ::sql:: --skip simulation:: --skip connections::judged_by_libpq:: --skip connections::hosts:: --skip connections::poolers::) ;;
            model) runner=(cargo test "${locked[@]}" -p pgasync-tests --test suite -- judged:: --skip judged::mutants:: --test-threads=6) ;;
            connections) runner=(cargo test "${locked[@]}" -p pgasync-tests --test suite -- connections:: --test-threads=6) ;;
            filtered) runner=(cargo test "${locked[@]}" -- --skip chaos:: --skip traces:: --skip cuts:: --skip fuzz:: --skip holds::) ;;
            outages) runner=(cargo test "${locked[@]}" -p pgasync-tests --test suite -- process:: store_worker:: conformance::targets_down:: conformance::dead_hosts:: conformance::sessions_at_targets:: conformance::faults:: conformance::answers:: conformance::successors:: conformance::leadership:: conformance::receipts:: conformance::schedules:: conformance::results:: conformance::paused:: conformance::ended_by:: conformance::own_tasks:: --skip ::sql:: --test-threads=6) ;;
            attacks) runner=(cargo test "${locked[@]}" -p pgasync-tests --test suite -- attacks:: --skip ::sql:: --test-threads=6) ;;
            web) runner=(cargo test "${locked[@]}" -p pgasync-tests --test suite -- web:: --test-threads=6) ;;
            counted) runner=(cargo test "${locked[@]}" -p pgasync-tests --test suite -- bench:: counted:: --test-threads=4) ;;
            metrics) runner=(cargo test "${locked[@]}" -p pgasync-tests --test suite -- metrics:: traces:: --test-threads=6) ;;
            sql-engine) runner=(cargo test "${locked[@]}" -p pgasync-tests --test suite -- ::sql:: --skip chaos:: --skip holds:: --test-threads=6) ;;
            sql-mutants) runner=(cargo test "${locked[@]}" -p pgasync-tests --test suite -- judged::mutants:: --test-threads=4) ;;
            simulation) runner=(cargo test "${locked[@]}" -p pgasync-core -- simulation::) ;;
            matrix | matrix-both) runner=(cargo test "${locked[@]}" -p pgasync-tests --test suite -- --skip chaos:: --skip bench:: --skip counted:: --skip cuts:: --skip fuzz:: --skip holds:: --skip upgrades:: --skip metrics:: --skip traces:: --skip web::) ;;
            fuzz) runner=(cargo test "${locked[@]}" -p pgasync-tests --test suite -- fuzz:: --test-threads=2 --nocapture) ;;
            upgrades) runner=(cargo test "${locked[@]}" -p pgasync-tests --test suite -- upgrades:: --test-threads=3) ;;
            chaos-long) runner=(cargo test "${locked[@]}" -p pgasync-tests --test suite -- chaos::long_run:: --test-threads=2) ;;
            chaos) runner=(cargo test "${locked[@]}" -p pgasync-tests --test suite -- chaos:: between_engines:: --skip chaos::long_run:: --test-threads=4) ;;
            cuts | holds) runner=(cargo test "${locked[@]}" -p pgasync-tests --test suite -- "$1::" --test-threads=4) ;;
            hosts) runner=(cargo test "${locked[@]}" -p pgasync-tests --features hosts --test suite -- hosts:: --test-threads=2) ;;
        esac
    fi
}

# Builds the binary and the tests before any server starts.
build_tests() {
    need_psql
    keep_clusters_in_memory
    build_all
    build --workspace --tests
    PATH=$(target_dir)/debug:$PATH
    export RUST_BACKTRACE=0 # a failed test says what it waited for, and shows the tables
    cd "$root"
}

# dev_test [FILTER...]: without a filter, the profile `default` and the examples in the documentation.
dev_test() {
    build_tests
    if [ $# = 0 ]; then
        cargo test --quiet --workspace --doc "${locked[@]}"
        choose_runner default
    else
        choose_runner filtered
    fi
    [ "${runner[1]}" = test ] || runner+=(--workspace)
    PGASYNC_PG_OPTS="$test_settings ${PGASYNC_PG_OPTS:-}" with_cluster "$(default_major)" "${runner[@]}" "$@"
}

# Writes docs/reference. A test fails when it is stale.
dev_reference() {
    PGASYNC_REFERENCE=write dev_test the_reference_is_that_of_the_catalog
}

check_parts="style layers package book deny test outages attacks counted metrics web fuzz sql-engine model connections simulation mutants chaos chaos-long cuts holds hosts upgrades deploy languages matrix"

# dev_check [PART...]: all parts, or the ones named.
dev_check() {
    local part begin
    cd "$root"
    need_cargo
    need_linker
    for part in "${@:-$check_parts}"; do
        # shellcheck disable=SC2086 # the default is a list of words
        for part in $part; do
            say "check: $part"
            begin=$SECONDS
            case $part in
                style) check_style ;;
                layers) check_layers ;;
                package) check_package ;;
                book) check_book ;;
                deny) check_deny ;;
                fuzz) check_fuzz ;;
                test) "$root/dev" test ;;
                outages | attacks | counted | sql-engine) check_on_cluster "$part" ;;
                model) check_on_cluster "$part" ;;
                connections) need_pgbouncer; check_on_cluster "$part" ;;
                metrics) check_metrics ;;
                web) check_web ;;
                simulation) check_simulation ;;
                mutants) check_on_cluster sql-mutants; check_core_mutants ;;
                sql-mutants) check_on_cluster sql-mutants ;;
                core-mutants) check_core_mutants ;;
                chaos) check_chaos ;;
                chaos-long) check_on_cluster chaos-long ;;
                cuts) check_cuts ;;
                holds) check_holds ;;
                hosts) check_hosts ;;
                upgrades) check_upgrades ;;
                deploy) check_deploy ;;
                languages) check_languages ;;
                matrix) check_matrix ;;
                *) die "no such part: $part ($check_parts sql-mutants core-mutants)" ;;
            esac
            say "check: $part took $((SECONDS - begin)) s"
        done
    done
    say "check: done"
}

check_style() {
    cargo fmt --all --check
    cargo clippy --quiet --workspace --all-targets --features pgasync-tests/hosts,pgasync/traces "${locked[@]}" -- -D warnings
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
    depends pgasync-web axum || die "layers: pgasync-web should depend on axum"
    ! depends pgasync-web pgasync-runner || die "layers: pgasync-web must not depend on pgasync-runner"
    ! depends pgasync-runner axum || die "layers: pgasync-runner must not depend on axum"
    ! depends pgasync-store axum || die "layers: pgasync-store must not depend on axum"
    ! depends pgasync-text tokio || die "layers: pgasync-text must not depend on tokio"
    local crate
    depends pgasync-traces opentelemetry || die "layers: pgasync-traces should depend on opentelemetry"
    ! depends pgasync opentelemetry || die "layers: pgasync must not depend on opentelemetry without the feature traces"
    ! depends pgasync-runner opentelemetry || die "layers: pgasync-runner must not depend on opentelemetry"
    depends pgasync-metrics hyper || die "layers: pgasync-metrics should depend on hyper"
    ! depends pgasync-runner hyper || die "layers: pgasync-runner must not depend on hyper"
    ! depends pgasync-runner prometheus || die "layers: pgasync-runner must not depend on prometheus"
    names pgasync pgasync-metrics || die "layers: pgasync should name pgasync-metrics"
    ! names pgasync-metrics pgasync-store || die "layers: pgasync-metrics must not name pgasync-store"
    ! names pgasync-metrics pgasync-pg || die "layers: pgasync-metrics must not name pgasync-pg"
    for crate in pgasync-store pgasync-runner pgasync-web pgasync; do
        names "$crate" pgasync-pg || die "layers: $crate should name pgasync-pg"
        ! names "$crate" tokio-postgres || die "layers: $crate must not name tokio-postgres: pgasync-pg has it"
    done
}

# Licenses, banned crates and sources of the crates (deny.toml), and security advisories if their database can be
# fetched. CI does not install cargo-deny, because compiling it takes as long as most of CI.
check_deny() {
    need_cargo_deny || { say "check: deny is skipped: cargo-deny is not installed ($deny_install)"; return 0; }
    cargo deny "${locked[@]}" check licenses bans sources
    if cargo deny "${locked[@]}" fetch db >/dev/null 2>&1; then
        cargo deny "${locked[@]}" check --disable-fetch advisories
    else
        say "check: deny: advisories are skipped: their database cannot be fetched"
    fi
}

# PGASYNC_FUZZ_SECONDS is the time for each target (6).
check_fuzz() {
    build --workspace --tests
    choose_runner fuzz
    [ "${runner[1]}" = test ] || runner+=(--workspace)
    "${runner[@]}"
}

# One profile of nextest on a private cluster of the default major. Of the mutants in SQL a sample, or all with
# PGASYNC_MUTANTS=all.
check_on_cluster() { # PROFILE
    build_tests
    choose_runner "$1"
    PGASYNC_PG_OPTS=$test_settings "$root/dev" pg "$(default_major)" "${runner[@]}"
}

# The metrics, with a real Prometheus, and the traces, for which the program is built with their feature.
check_metrics() {
    need_prometheus
    build_tests
    build_all --features pgasync/traces
    choose_runner metrics
    PGASYNC_PG_OPTS=$test_settings "$root/dev" pg "$(default_major)" "${runner[@]}"
}

# The dashboard over HTTP, and in headless Chromium.
check_web() {
    need_chromium
    check_on_cluster web
}

# PGASYNC_SEEDS sets the number of seeds.
check_simulation() {
    # The whole workspace, as elsewhere: alone, the core would be built once more, with fewer features of what it uses.
    build --workspace --tests
    choose_runner simulation
    [ "${runner[1]}" = test ] || runner+=(--workspace)
    PGASYNC_SEEDS=${PGASYNC_SEEDS:-1000} "${runner[@]}"
}

# Changes to the core, in the lines that differ from PGASYNC_MUTANTS_SINCE (HEAD~1), or in all with PGASYNC_MUTANTS=all.
# PGASYNC_MUTANTS_FILES="GLOB..." names files instead. PGASYNC_MUTANTS_SHARD=K/N takes one change in N of the whole core,
# or of these files (K from 0 to N-1). Fails when the tests miss more than one change in twenty.
check_core_mutants() {
    need_cargo_mutants
    need_nextest || die "core-mutants needs cargo-nextest"
    local out status=0 caught=0 missed=0 glob
    # Every change is a build of its own, which takes longer than its tests.
    local -x CARGO_PROFILE_DEV_DEBUG=0 PROPTEST_MAX_SHRINK_ITERS=0
    local run=(cargo mutants --package pgasync-core --test-tool nextest --no-shuffle --baseline skip --timeout 300
        --cargo-arg=--config=profile.dev.package.pgasync-core.opt-level=1)
    out=$(mktemp -d)
    run+=(--output "$out")
    for glob in ${PGASYNC_MUTANTS_FILES:-}; do run+=(--file "$glob"); done
    if [ -n "${PGASYNC_MUTANTS_SHARD:-}" ]; then
        run+=(--sharding round-robin --shard "$PGASYNC_MUTANTS_SHARD")
    elif [ -z "${PGASYNC_MUTANTS_FILES:-}" ] && [ "${PGASYNC_MUTANTS:-}" != all ]; then
        git diff "${PGASYNC_MUTANTS_SINCE:-HEAD~1}" -- crates/core >"$out/changes.diff"
        [ -s "$out/changes.diff" ] || { say "core-mutants: the core is unchanged"; rm -rf "$out"; return 0; }
        run+=(--in-diff "$out/changes.diff")
    fi
    # Exit status 2: a change was missed. 3: a change ran into the timeout, which counts as caught.
    "${run[@]}" -- --profile core-mutants || status=$?
    case $status in 0 | 2 | 3) ;; *) die "cargo mutants failed: see $out" ;; esac
    [ ! -e "$out/mutants.out/caught.txt" ] || caught=$(cat "$out"/mutants.out/{caught,timeout}.txt | wc -l)
    [ ! -e "$out/mutants.out/missed.txt" ] || missed=$(wc -l <"$out/mutants.out/missed.txt")
    say "core-mutants: $caught caught, $missed missed"
    [ "$missed" = 0 ] || cat "$out/mutants.out/missed.txt"
    [ $((missed * 20)) -le $((caught + missed)) ] || die "core-mutants: less than 95 % are caught"
    rm -rf "$out"
}

# With PGASYNC_CHAOS_SHARE=N one test in N; the commit decides which ones.
check_chaos() {
    build_tests
    choose_runner chaos
    if [ "${PGASYNC_CHAOS_SHARE:-1}" -gt 1 ] && [ "${runner[1]}" = nextest ]; then
        local commit
        commit=$(git rev-parse HEAD 2>/dev/null || echo 0)
        runner+=(--partition "hash:$((0x${commit:0:6} % PGASYNC_CHAOS_SHARE + 1))/$PGASYNC_CHAOS_SHARE")
    fi
    grep -q '^mod chaos' tests/tests/suite/main.rs || return 0
    PGASYNC_PG_OPTS=$test_settings "$root/dev" pg "$(default_major)" "${runner[@]}"
}

check_holds() {
    build_tests
    choose_runner holds
    PGASYNC_PG_OPTS=$test_settings "$root/dev" pg "$(default_major)" "${runner[@]}"
}

# On 11, 15 and 18, or the majors of PGASYNC_MAJORS. pg_dump reads servers of its own major and of older ones, so the
# dumps are compared on the default major only.
check_upgrades() {
    local major
    build_tests
    for major in ${PGASYNC_MAJORS:-11 15 18}; do
        say "check: upgrades on $major"
        choose_runner upgrades
        if [ "$major" != "$(default_major)" ]; then
            if [ "${runner[1]}" = nextest ]; then
                runner+=(-E "not test(/^upgrades::dumps::/)")
            else
                runner+=(--skip upgrades::dumps::)
            fi
        fi
        PGASYNC_PG_OPTS=$test_settings "$root/dev" pg "$major" "${runner[@]}"
    done
}

# A sample of the cases, or all with PGASYNC_CUTS=all.
check_cuts() {
    build_tests
    choose_runner cuts
    PGASYNC_PG_OPTS=$test_settings "$root/dev" pg "$(default_major)" "${runner[@]}"
}

# Passes where no Docker engine is available.
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

# Every major but the default one (see `test`): installs twice with psql, then runs the suite. With PGASYNC_SHARE=1 the
# majors share the tests among them.
check_matrix() {
    local major place=0 majors install='pgasync sql all | psql -qX -v ON_ERROR_STOP=1 >/dev/null'
    build_tests
    majors=$(wc -w <<<"$matrix_majors")
    for major in $matrix_majors; do
        place=$((place + 1))
        [ "$major" != "$(default_major)" ] || continue
        case " $both_majors " in
            *" $major "*) choose_runner matrix-both ;;
            *) choose_runner matrix ;;
        esac
        [ -z "${PGASYNC_SHARE:-}" ] || [ "${runner[1]}" = test ] || runner+=(--partition "hash:$place/$majors")
        say "check: Postgres $major"
        PGASYNC_PG_OPTS=$test_settings "$root/dev" pg "$major" \
            bash -euo pipefail -c "$install; $install; "'exec "$@"' - "${runner[@]}"
    done
}
