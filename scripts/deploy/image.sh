#!/usr/bin/env bash
# The image, compiled and with a copied binary.
scenario=image
# shellcheck source=scripts/deploy/common.sh
. "$(dirname "$0")/common.sh"
cd "$(dirname "$0")/../.."

leave() { docker image rm --force "$name:prebuilt" "$name:compiled" >/dev/null 2>&1 || true; rm -f "$log"; }
trap leave EXIT

build=(docker build -f deploy/docker/Dockerfile --network host --build-arg "DEBIAN=$DEPLOY_DEBIAN"
    --build-arg "RUST=$DEPLOY_RUST")
quietly "the image with a copied binary is not built" "${build[@]}" --target prebuilt -t "$name:prebuilt" .
begin=$SECONDS
# What was built before is not taken: the stage that compiles has to run.
quietly "the image that compiles the binary is not built" "${build[@]}" --no-cache-filter build -t "$name:compiled" .
holds "compiled in $((SECONDS - begin)) s"

version=$(target/release/pgasync --version)
for image in "$name:prebuilt" "$name:compiled"; do
    in_image() { docker run --rm --read-only --cap-drop ALL "$@"; }
    is "$version" "$image: the version" in_image "$image" --version
    is 10001 "$image: the user" in_image --entrypoint id "$image" -u
    # Without a server the process ends with an error that names it, and the health check with another status than 0.
    status=0
    said=$(in_image --env PGHOST=/nowhere "$image" status 2>&1) || status=$?
    [ "$status" = 6 ] && grep -q /nowhere <<<"$said" || fail "$image: without a server it ended with $status: $said"
    ! in_image --entrypoint healthcheck "$image" >>"$log" 2>&1 || fail "$image: healthy without a process"
    quietly "$image: the certificates are missing" in_image --entrypoint test "$image" -s /etc/ssl/certs/ca-certificates.crt
    holds "$image has $(docker image inspect --format '{{.Size}}' "$image" | awk '{ printf "%.0f", $1 / 1000000 }') MB," \
        "of which the system has $(docker image inspect --format '{{.Size}}' "$DEPLOY_DEBIAN" | awk '{ printf "%.0f", $1 / 1000000 }')"
done
