# shellcheck shell=bash
# A Docker engine, and an image of Postgres: hosts of their own for server and targets. Sourced by ./dev.

own_image=pgasync-postgres:15
own_suite=bookworm # Debian's that has 15
dockerd_pid=

# Returns 1, after a line that says why, where no Docker engine can be had.
need_docker() {
    docker_answers && return
    if [ "$(id -u)" != 0 ]; then
        say "no Docker engine that $(id -un) may use, and only root can start one"
        return 1
    fi
    if ! have dockerd; then
        (apt_install docker.io iptables) || { say "no Docker engine here, and none can be installed"; return 1; }
    fi
    start_dockerd && return
    say "a Docker engine does not run here: $(grep -i 'fail\|error' "$dockerd_log" | tail -n 1)"
    return 1
}

docker_answers() { have docker && docker version >/dev/null 2>&1; }

# One of our own, which ends with this script.
start_dockerd() {
    local try
    dockerd_log=$(mktemp)
    say "starting a Docker engine"
    setsid dockerd >"$dockerd_log" 2>&1 </dev/null &
    dockerd_pid=$!
    for try in {1..120}; do
        docker_answers && return
        kill -0 "$dockerd_pid" 2>/dev/null || break
        sleep 0.25
    done
    stop_dockerd
    return 1
}

stop_dockerd() {
    [ -n "$dockerd_pid" ] || return 0
    kill -TERM "$dockerd_pid" 2>/dev/null || true
    wait "$dockerd_pid" 2>/dev/null || true
    dockerd_pid=
}

# Sets PGASYNC_TEST_IMAGE, unless it is set: the stock image where it is or can be pulled, else one made here.
need_image() {
    local image
    if [ -n "${PGASYNC_TEST_IMAGE:-}" ]; then
        docker image inspect "$PGASYNC_TEST_IMAGE" >/dev/null 2>&1 || docker pull --quiet "$PGASYNC_TEST_IMAGE" >&2 ||
            die "there is no image $PGASYNC_TEST_IMAGE"
        return
    fi
    for image in postgres:15 "$own_image"; do
        if docker image inspect "$image" >/dev/null 2>&1; then
            export PGASYNC_TEST_IMAGE=$image
            return
        fi
    done
    if timeout 300 docker pull --quiet postgres:15 >/dev/null 2>&1; then
        export PGASYNC_TEST_IMAGE=postgres:15
        return
    fi
    build_image || { say "no image of Postgres can be pulled or made here"; return 1; }
    export PGASYNC_TEST_IMAGE=$own_image
}

build_image() {
    local work status=0
    [ "$(id -u)" = 0 ] || return 1
    have debootstrap || (apt_install debootstrap) || return 1
    say "making the image $own_image from Debian's packages (some minutes, once)"
    work=$(mktemp -d /var/tmp/pgasync-image.XXXXXX)
    bootstrap_image "$work" || status=$?
    [ "$status" = 0 ] || tail -n 5 "$work/log" >&2
    rm -rf --one-file-system "$work"
    return "$status"
}

bootstrap_image() {
    local tree=$1/tree
    debootstrap --variant=minbase --include=postgresql-15 "$own_suite" "$tree" >"$1/log" 2>&1 || return 1
    rm -rf "$tree"/var/cache/apt "$tree"/var/lib/apt/lists "$tree"/usr/share/{doc,man,locale} "$tree"/var/lib/postgresql/15
    cp "$root/scripts/image/entrypoint" "$tree/usr/local/bin/docker-entrypoint.sh"
    tar -C "$tree" -c . | docker import \
        --change 'ENV PGDATA=/var/lib/postgresql/data PATH=/usr/lib/postgresql/15/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
        --change 'ENTRYPOINT ["docker-entrypoint.sh"]' --change 'CMD ["postgres"]' \
        --change 'EXPOSE 5432' - "$own_image" >>"$1/log" 2>&1
}

# A test that was killed could not remove its hosts and its network; they carry its process id.
remove_abandoned_hosts() {
    local list id pid
    for list in 'container ls --all' 'network ls'; do
        # shellcheck disable=SC2086 # a list of words
        docker $list --filter label=pgasync.test --format '{{.ID}} {{.Label "pgasync.test"}}' | while read -r id pid; do
            [ -d "/proc/$pid" ] || docker "${list%% *}" rm --force "$id" >/dev/null 2>&1 || true
        done
    done
}
