# shellcheck shell=bash
# What a release consists of, in target/dist. Sourced by ./dev. .github/workflows/release.yml runs these parts.

release_dir() { echo "$(target_dir)/dist"; }
release_version() { sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"$/\1/p' "$root/Cargo.toml"; }

# dev_release [PART...]: check TAG, binary, deb, pgxn, notes, checksums; without a part all but check.
dev_release() {
    local part
    locked=(--locked)
    mkdir -p "$(release_dir)"
    if [ "${1:-}" = check ]; then release_check "${2:?a tag is missing}"; return; fi
    for part in "${@:-binary deb pgxn notes checksums}"; do
        # shellcheck disable=SC2086 # the default is a list of words
        for part in $part; do
            case $part in
                binary | deb | pgxn | notes | checksums) "release_$part" ;;
                *) die "no such part of a release: $part (check binary deb pgxn notes checksums)" ;;
            esac
        done
    done
}

# The tag, Cargo.toml, META.json, the manifests and the changelog name one version, and the tag is on this commit.
release_check() { # TAG
    local version
    version=$(release_version)
    [ "$1" = "v$version" ] || die "release: the tag $1 is not v$version, the version in Cargo.toml"
    [ "$(git -C "$root" rev-parse "$1^{commit}" 2>/dev/null)" = "$(git -C "$root" rev-parse HEAD)" ] ||
        die "release: the tag $1 is not on this commit"
    [ -z "$(git -C "$root" status --porcelain --untracked-files=no)" ] || die "release: the work tree has changes"
    grep -qE "^## $version - [0-9]{4}-[0-9]{2}-[0-9]{2}\$" "$root/CHANGELOG.md" ||
        die "release: CHANGELOG.md has no '## $version - YYYY-MM-DD'"
    # The versions of META.json, the crates and the manifests are compared with that of Cargo.toml.
    check_package
    say "release: $1 can be released"
}

# The binary with its licenses, shell completions and manual pages.
release_binary() {
    local name binary folder
    build --release -p pgasync
    binary=$(target_dir)/release/pgasync
    name=pgasync-$(release_version)-$(rustc -vV | sed -n 's/^host: //p')
    folder=$(release_dir)/$name
    rm -rf "$folder"
    mkdir -p "$folder/completions" "$folder/man"
    install -m 755 -s "$binary" "$folder/pgasync"
    cp "$root"/{README.md,CHANGELOG.md,LICENSE-MIT,LICENSE-APACHE} "$folder/"
    cp -r "$root/dist" "$folder/sql"
    local shell
    for shell in bash zsh fish; do "$binary" completions "$shell" >"$folder/completions/pgasync.$shell"; done
    "$binary" man "$folder/man" >/dev/null
    pack "$folder"
    say "release: $folder.tar.gz"
}

# pack FOLDER: FOLDER.tar.gz, the same bytes for the same files.
pack() {
    local time
    time=$(git -C "$root" log -1 --format=%ct)
    tar -C "$(dirname "$1")" --sort=name --mtime="@$time" --owner=0 --group=0 --numeric-owner -c "$(basename "$1")" |
        gzip -9n >"$1.tar.gz"
    rm -rf "$1"
}

release_deb() {
    need_cargo_deb
    (cd "$root" && cargo deb --quiet "${locked[@]}" -p pgasync --output "$(release_dir)/")
    say "release: $(ls "$(release_dir)"/pgasync_*.deb)"
}

# What PGXN distributes: META.json with the SQL files and the documents.
release_pgxn() {
    local version
    version=$(release_version)
    git -C "$root" archive --format zip --prefix "pgasync-$version/" --output "$(release_dir)/pgasync-$version.zip" HEAD \
        META.json README.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE SECURITY.md dist docs
    say "release: $(release_dir)/pgasync-$version.zip"
}

# The part of the changelog for this version; before it has a date, the part "Unreleased".
release_notes() {
    local title notes
    notes=$(release_dir)/notes.md
    for title in "$(release_version)" Unreleased; do
        awk -v title="$title" '/^## / { inside = $2 == title; next } inside' "$root/CHANGELOG.md" >"$notes"
        [ ! -s "$notes" ] || return 0
    done
    die "release: CHANGELOG.md says nothing of $(release_version)"
}

release_checksums() {
    (cd "$(release_dir)" && sha256sum -- pgasync[-_]* >SHA256SUMS)
    say "release: $(release_dir)/SHA256SUMS has $(wc -l <"$(release_dir)/SHA256SUMS") files"
}
