# shellcheck shell=bash
# The examples of other languages against a real server. Sourced by ./dev.

languages_home() { echo "$(pg_cache)/languages"; }

# psycopg for Python, pg for Node. Sets `python`.
install_languages() {
    local home
    home=$(languages_home)
    mkdir -p "$home/node"
    if [ ! -x "$home/venv/bin/python" ]; then
        say "installing psycopg for Python into $home"
        python3 -m venv "$home/venv" || { apt_install python3-venv && python3 -m venv "$home/venv"; }
    fi
    "$home/venv/bin/python" -c 'import psycopg' 2>/dev/null ||
        "$home/venv/bin/pip" install --quiet --disable-pip-version-check 'psycopg[binary]>=3.2,<4' </dev/null >&2
    have node || apt_install nodejs npm
    if [ ! -d "$home/node/node_modules/pg" ]; then
        say "installing pg for Node into $home"
        (cd "$home/node" && npm install --silent --no-audit --no-fund --no-package-lock 'pg@8' </dev/null >&2)
    fi
}

# Compiles the Go programs. Debian has version 4 of pgx, and its Go reads no newer modules; for these programs the path of
# the import is the only difference. Returns 1 where there is no Go.
build_go_examples() {
    local home program
    home=$(languages_home)/go
    if ! have go || [ ! -d /usr/share/gocode/src/github.com/jackc/pgx/v4 ]; then
        if [ -n "${CI:-}" ] || ! (apt_install golang-go golang-github-jackc-pgx-v4-dev); then
            say "languages: Go is left out: golang-go and golang-github-jackc-pgx-v4-dev are not installed"
            return 1
        fi
    fi
    for program in push worker; do
        mkdir -p "$home/src/$program"
        sed 's|jackc/pgx/v5|jackc/pgx/v4|' "$root/examples/go/$program/main.go" >"$home/src/$program/main.go"
        (cd "$home/src/$program" &&
            GO111MODULE=off GOPATH="$home:/usr/share/gocode" GOCACHE="$home/cache" go build -o "$home/$program" .)
    done
}

check_languages() {
    local home
    need_psql
    install_languages
    build_all
    build -p pgasync-store --examples
    export LANGUAGES_GO=
    ! build_go_examples || LANGUAGES_GO=$(languages_home)/go
    home=$(languages_home)
    # Node finds its packages beside the program.
    cp "$root"/examples/node/*.mjs "$home/node/"
    LANGUAGES_HOME=$home RUST_EXAMPLES=$(target_dir)/debug/examples \
        "$root/dev" pg "$(default_major)" "$root/scripts/languages/all.sh"
}
