# shellcheck shell=bash
# A long run of a mixed load under faults. Sourced by ./dev.

chaos_usage() {
    cat <<'USAGE'
./dev chaos --engine sql|rust|swap [--seconds N] [--seed S]

Runs two to five candidates of an engine (swap: of both, which take over from each other), a mixed load, and faults
for N seconds (300; at least 20). The faults and their times depend on the seed alone (default: a random one, which is
printed). Then every task must end, and the ledgers of the targets are compared with the task table.

Exit status: 0 when all promises are kept, 1 when one is broken, 2 after a usage error, 3 when the run could not be
completed.

Not injected, since they need separate hosts: steps of the clock, a full disk, and the promotion of a standby (which
./dev check hosts tests).
USAGE
}

chaos_refuse() {
    say "chaos: $*"
    chaos_usage >&2
    exit 2
}

# chaos_number NAME VALUE LEAST: refuses a value that is not a whole number of at least LEAST.
chaos_number() {
    [[ $2 =~ ^[0-9]{1,9}$ ]] || chaos_refuse "--$1 must be a whole number of at most nine digits, not '$2'"
    [ "$((10#$2))" -ge "$3" ] || chaos_refuse "--$1 must be at least $3, not $2"
}

# dev_chaos --engine sql|rust|swap [--seconds N] [--seed S]
dev_chaos() {
    local engine='' seconds=300 seed=$((RANDOM * 32768 + RANDOM)) name
    while [ $# -gt 0 ]; do
        name=$1
        case $name in
            -h | --help) chaos_usage; exit 0 ;;
            --*=*) set -- "${name%%=*}" "${name#*=}" "${@:2}"; continue ;;
            --engine | --seconds | --seed)
                [ $# -ge 2 ] || chaos_refuse "$name needs a value"
                case $name in
                    --engine) engine=$2 ;;
                    --seconds) seconds=$2 ;;
                    --seed) seed=$2 ;;
                esac
                shift 2 ;;
            *) chaos_refuse "no such option: $name" ;;
        esac
    done
    case $engine in
        sql | rust | swap) ;;
        '') chaos_refuse "--engine is missing: sql, rust or swap" ;;
        *) chaos_refuse "--engine must be sql, rust or swap, not '$engine'" ;;
    esac
    chaos_number seconds "$seconds" 20
    chaos_number seed "$seed" 0
    # Until the run has a verdict, each failure means that it could not be completed.
    said=$(mktemp) child=
    trap 'leave_chaos' EXIT
    trap 'interrupted 130' INT
    trap 'interrupted 143' TERM HUP
    build_tests
    PGASYNC_PG=$(default_major)
    PGASYNC_PG_OPTS="$test_settings ${PGASYNC_PG_OPTS:-}"
    PGASYNC_CHAOS_SECONDS=$((10#$seconds)) PGASYNC_SEED=$((10#$seed))
    export PGASYNC_PG PGASYNC_PG_OPTS PGASYNC_CHAOS_SECONDS PGASYNC_SEED
    run_and_exit run_chaos "$engine"
}

run_chaos() { # ENGINE
    cargo test --quiet "${locked[@]}" --workspace --test suite -- \
        --exact "chaos::long_run::$1" --nocapture --test-threads=1 2>&1 | tee "$said" || return 1
}

# Removes what a run leaves behind, and exits with the status that the usage describes.
leave_chaos() {
    local status=$?
    trap '' INT TERM HUP
    # The status of a script that a signal has ended is 128 or more.
    if [ "$status" != 0 ] && [ "$status" -lt 128 ]; then
        status=3
        ! grep -q '^chaos: broken promise: ' "$said" || status=1
        [ "$status" = 1 ] || say "chaos: the run could not be completed"
    fi
    rm -f "$said"
    remove_abandoned
    exit "$status"
}
