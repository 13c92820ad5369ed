# shellcheck shell=bash
# What is shipped beside the code: crates, the image, manifests, the Debian package. Sourced by ./dev.

# Sets `python` to a Python that reads TOML and YAML.
need_python_with_yaml() {
    for python in python3 /usr/bin/python3; do
        "$python" -c 'import tomllib, yaml' 2>/dev/null && return
    done
    apt_install python3-yaml
    "$python" -c 'import tomllib, yaml' || die "package: $python is older than 3.11"
}

# What cargo may warn of: without a public address the crates have no `repository`, and a test compares with files outside
# of its crate, so that it stays out of the package.
check_package() {
    local python said
    need_python_with_yaml
    build_all
    "$python" "$root/scripts/package/check.py" "$root" "$(target_dir)/debug/pgasync" || die "package: see above"
    said=$(cargo package --workspace --no-verify --allow-dirty --offline 2>&1) || die "package: $said"
    ! grep '^warning' <<<"$said" | grep -v -e 'has no documentation, homepage or repository' -e 'ignoring test .dist.' ||
        die "package: cargo package warns"
}
