# shellcheck shell=bash
# What the scenarios share. Each runs in the folder of the repository.
set -euo pipefail
shopt -s inherit_errexit
name=pgasync-deploy-$$ # of the containers, networks and images of this run
log=$(mktemp)

holds() { printf 'deploy: %s: %s\n' "$scenario" "$*" >&2; }
fail() {
    printf 'deploy: %s: FAILED: %s\n' "$scenario" "$*" >&2
    tail -n 30 "$log" | sed 's/^/  /' >&2
    exit 1
}

# eventually SECONDS WHAT COMMAND...: the command succeeds in time.
eventually() {
    local until=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >>"$log" 2>&1; do
        [ "$SECONDS" -lt "$until" ] || fail "did not come true: $what"
        sleep 0.5
    done
}

# is EXPECTED WHAT COMMAND...: the command prints this.
is() {
    local expected=$1 what=$2 printed
    shift 2
    printed=$("$@" 2>>"$log") || fail "$what: the command failed: $*"
    [ "$printed" = "$expected" ] || fail "$what: '$printed' instead of '$expected'"
}

# prints EXPECTED COMMAND...: whether the command prints this, for `eventually`.
prints() {
    local expected=$1
    shift
    [ "$("$@")" = "$expected" ]
}

# quietly WHAT COMMAND...: the command succeeds.
quietly() {
    local what=$1
    shift
    printf '+ %s\n' "$*" >>"$log"
    "$@" >>"$log" 2>&1 </dev/null || fail "$what"
}
