# shellcheck shell=bash
# Private clusters: one folder holds data, socket and log. Sourced by ./dev; the Rust harness calls
# `./dev cluster`, so that a cluster is started in one way only.

# Runs a server program as an unprivileged user (Postgres refuses root), in a folder that this user can read, and
# without the caller's PG*: the libpq inside the server (dblink's) would follow them, and run elsewhere than on a
# real server.
as_postgres() {
    # A password that no target may get: a test looks for it.
    local run=(env -i PATH="$PATH" LANG=C TZ=UTC PGPASSWORD="of the postmaster" "$@")
    [ "$(id -u)" != 0 ] || run=(setpriv --reuid=postgres --regid=postgres --init-groups "${run[@]}")
    (cd / && "${run[@]}" </dev/null)
}

free_port() {
    local port
    while :; do
        port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
        (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
    done
}

cluster_init() {
    local bin=$1 dir=$2
    if [ "$(id -u)" = 0 ]; then
        id postgres >/dev/null 2>&1 || useradd --system --user-group --no-create-home --home /nonexistent postgres
        chown postgres: "$dir"
    fi
    chmod 755 "$dir"
    as_postgres "$bin/initdb" --no-sync -D "$dir/data" -U postgres -A trust \
        --encoding=UTF8 --locale=C >"$dir/initdb.log" 2>&1 || die "initdb failed: $(tail -n 5 "$dir/initdb.log")"
    # Members of the role with_password (a test makes it when it wants it) must give one, as dblink demands.
    cat >"$dir/data/pg_hba.conf" <<-HBA
	host all +with_password samehost scram-sha-256
	local all +with_password scram-sha-256
	local all all trust
	host all all samehost trust
	local replication all trust
	host replication all samehost trust
	HBA
    cat >>"$dir/data/postgresql.conf" <<-CONF
	listen_addresses = '127.0.0.1, ::1'
	unix_socket_directories = '$dir'
	max_connections = 300
	shared_buffers = '256MB'
	password_encryption = 'scram-sha-256'
	timezone = 'UTC'
	log_timezone = 'UTC'
	log_line_prefix = '%m [%p] %q%a@%d '
	CONF
}

# cluster_start MAJOR DIR [NAME=VALUE...]: makes the cluster when DIR has none, starts it, writes DIR/env.
# Settings given as further arguments, or in PGASYNC_PG_OPTS, stay with the cluster.
cluster_start() {
    local major=$1 dir=$2 bin port try
    shift 2
    bin=$(pg_bin "$major")
    mkdir -p "$dir"
    dir=$(cd "$dir" && pwd)
    if [ ! -e "$dir/env" ]; then
        cluster_init "$bin" "$dir"
        # shellcheck disable=SC2086 # a list of words
        [ $# = 0 ] && [ -z "${PGASYNC_PG_OPTS:-}" ] ||
            printf "%s\n" "$@" ${PGASYNC_PG_OPTS:-} | sed "s/^\([^=]*\)=\(.*\)$/\1 = '\2'/" >>"$dir/data/postgresql.conf"
    fi
    for try in 1 2 3 4 5 6 7 8; do
        if [ ! -e "$dir/env" ]; then
            port=$(free_port)
            echo "port = $port" >>"$dir/data/postgresql.conf"
        fi
        if as_postgres "$bin/pg_ctl" -D "$dir/data" -l "$dir/log" -w -t 120 start >/dev/null 2>&1; then
            [ -e "$dir/env" ] || cluster_env "$major" "$port" "$bin" "$dir" >"$dir/env"
            return
        fi
        [ "$try" = 8 ] || sleep 0.5 # the port was taken, or what a killed postmaster left behind is still going
    done
    die "Postgres $major did not start: $(tail -n 5 "$dir/log")"
}

cluster_env() {
    cat <<-ENV
	PGHOST=127.0.0.1
	PGPORT=$2
	PGUSER=postgres
	PGDATABASE=postgres
	DATABASE_URL=postgres://postgres@127.0.0.1:$2/postgres
	PGASYNC_PG=$1
	PGASYNC_PG_BIN=$3
	PGASYNC_PG_DIR=$4
	ENV
}

# cluster_stop DIR [smart|fast|immediate]
cluster_stop() {
    local bin
    [ -e "$1/env" ] || return 0
    bin=$(sed -n 's/^PGASYNC_PG_BIN=//p' "$1/env")
    [ -e "$1/data/postmaster.pid" ] || return 0
    as_postgres "$bin/pg_ctl" -D "$1/data" -w -t 60 -m "${2:-fast}" stop >/dev/null 2>&1
}

# cluster_remove DIR: stops it as if the power went, and takes the folder away.
cluster_remove() {
    cluster_stop "$1" immediate || true
    rm -rf "$1"
}
