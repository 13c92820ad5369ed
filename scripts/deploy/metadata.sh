#!/usr/bin/env bash
# Manifests, META.json and workflows, judged by programs of others, which must also refuse an error.
scenario=metadata
# shellcheck source=scripts/deploy/common.sh
. "$(dirname "$0")/common.sh"
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$log" "$work"' EXIT

# judge FILE ERROR COMMAND...: the command accepts the file, and refuses it with the error, an expression of sed.
judge() {
    local file=$1 error=$2 wrong
    shift 2
    quietly "$file is refused" "$@" "$file"
    wrong=$work/$(basename "$file")
    sed "$error" "$file" >"$wrong"
    ! cmp -s "$file" "$wrong" || fail "$file: $error changes nothing"
    ! "$@" "$wrong" >>"$log" 2>&1 || fail "$1 accepts $file with $error"
}

for version in 1.27.0 1.37.0; do
    kubernetes=("$DEPLOY_CACHE/venv/bin/kubernetes-validate" --strict -k "$version")
    judge deploy/kubernetes/runner.yaml 's/replicas: 2/replicas: two/' "${kubernetes[@]}"
    judge deploy/kubernetes/runner.yaml 's/periodSeconds: 10/seconds: 10/' "${kubernetes[@]}"
    judge deploy/kubernetes/init.yaml 's/backoffLimit: 4/backoff: 4/' "${kubernetes[@]}"
done
holds "the manifests are those of the schemas of Kubernetes 1.27 and 1.37"

judge META.json 's/"mit"/"mitt"/' "$DEPLOY_CACHE/bin/pgxn_meta"
judge META.json 's/"abstract": "Run/"abstrakt": "Run/' "$DEPLOY_CACHE/bin/pgxn_meta"
holds "META.json is that of PGXN"

for workflow in .github/workflows/*.yml; do
    # An unknown key, and an unquoted variable in the shell of a step.
    judge "$workflow" 's/runs-on: ubuntu-24.04$/run-on: ubuntu-24.04/' "$DEPLOY_CACHE/venv/bin/actionlint"
done
judge .github/workflows/release.yml 's/"\$TAG" --verify-tag/$TAG --verify-tag/' "$DEPLOY_CACHE/venv/bin/actionlint"
holds "the workflows pass actionlint and shellcheck"
