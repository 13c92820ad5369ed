# shellcheck shell=bash
# What the other scripts need, installed when it is missing. Sourced by ./dev.

say() { printf 'dev: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# Runs a command as root: directly, or through sudo (which may ask for a password, but not in CI).
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif ! have sudo; then die "need root (or sudo) to run: $*"
    elif [ -n "${CI:-}" ]; then sudo -n "$@"
    else sudo "$@"
    fi
}

# apt_install PACKAGE...: Debian's and Ubuntu's packages, without questions; what apt-get says is shown if it fails.
apt_install() {
    have apt-get || die "this machine has no apt-get: install $* by hand, then run this again"
    say "installing $* (apt-get)"
    local run=(env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@") said
    said=$(mktemp)
    as_root "${run[@]}" </dev/null >"$said" 2>&1 ||
        { as_root apt-get update -qq && as_root "${run[@]}"; } </dev/null >"$said" 2>&1 ||
        { cat "$said" >&2; die "apt-get could not install $*"; }
    rm -f "$said"
}

# The server's package starts a cluster of its own when it is installed; it is not wanted.
apt_install_server() {
    local folder=/etc/postgresql-common/createcluster.d
    if [ -e "$folder" ]; then apt_install "$@"; return; fi
    as_root mkdir -p "$folder"
    echo 'create_main_cluster = false' | as_root tee "$folder/pgasync.conf" >/dev/null
    apt_install "$@"
    as_root rm -f "$folder/pgasync.conf"
}

need_psql() { have psql || apt_install postgresql-client; }

# A package whose service is not wanted. Only a machine with systemd starts it.
apt_install_without_service() {
    apt_install "$1"
    if [ -d /run/systemd/system ]; then as_root systemctl disable --now --quiet "$1"; fi
}

# promtool is in the package too.
need_prometheus() { have prometheus && have promtool || apt_install_without_service prometheus; }
need_pgbouncer() { have pgbouncer || [ -x /usr/sbin/pgbouncer ] || apt_install_without_service pgbouncer; }
need_linker() { have cc || apt_install gcc libc6-dev; }

need_cargo() {
    have cargo && return
    [ -x "$HOME/.cargo/bin/cargo" ] && PATH=$HOME/.cargo/bin:$PATH && return
    die "Rust is missing: install it (rustup.rs), then run this again"
}

# nextest runs the tests in parallel, each in a process of its own.
need_nextest() {
    have cargo-nextest && return
    say "installing cargo-nextest (cargo install; a few minutes, once)"
    cargo install --quiet cargo-nextest --locked </dev/null >&2 && return
    say "cargo-nextest could not be installed: falling back to cargo test"
    return 1
}

deny_install="cargo install cargo-deny --locked"

# Without cargo-deny, CI has to go on: compiling it takes several minutes of both cores.
need_cargo_deny() {
    have cargo-deny && return
    [ -z "${CI:-}" ] || return 1
    say "installing cargo-deny ($deny_install; several minutes, once)"
    cargo install --quiet cargo-deny --locked </dev/null >&2
}

need_cargo_mutants() {
    have cargo-mutants && return
    say "installing cargo-mutants (cargo install; a few minutes, once)"
    cargo install --quiet cargo-mutants --locked </dev/null >&2 || die "cargo-mutants could not be installed"
}
