#!/usr/bin/env bash
# docs/start.md to the letter, on a host with Debian's Postgres, in what the distribution for PGXN unpacks to.
scenario=start
# shellcheck source=scripts/deploy/common.sh
. "$(dirname "$0")/common.sh"
cd "$(dirname "$0")/../.."

leave() {
    docker rm --force "$name" >/dev/null 2>&1 || true
    docker image rm --force "$name" >/dev/null 2>&1 || true
    rm -f "$log"
}
trap leave EXIT

# A shell of the account `postgres` in the unpacked distribution.
postgres() { docker exec --interactive --user postgres --workdir /tmp/pgasync "$name" bash -eo pipefail; }
psql_jobs() { docker exec --interactive --user postgres "$name" psql -X -v ON_ERROR_STOP=1 -d jobs; }
# block LANGUAGE NUMBER: a block of the page. Those that it does not execute are not counted.
block() {
    awk -v language="$1" -v wanted="$2" '
        /^```/ && inside { inside = 0; next }
        inside == 1 { print }
        /^```/ && !inside { inside = 2; if ($0 == "```" language && before !~ /^<!-- not executed/ && ++n == wanted) inside = 1 }
        { before = $0 }' docs/start.md
}
blocks() { grep -c "^\`\`\`$1\$" docs/start.md; }

zip=$(echo target/dist/pgasync-*.zip)
quietly "the host's image is not built" docker build --network host --build-arg "DEBIAN=$DEPLOY_DEBIAN" -t "$name" \
    -f scripts/deploy/systemd.Dockerfile scripts/deploy
quietly "the host does not start" docker run --detach --name "$name" "$name" sleep infinity
quietly "its Postgres does not start" docker exec "$name" pg_ctlcluster 15 main start
python3 -c 'import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[2])' "$zip" "$log.d"
quietly "the distribution is not copied" docker cp "$(echo "$log.d"/*)" "$name:/tmp/pgasync"
rm -rf "$log.d"

block sh 1 | postgres >>"$log" 2>&1 || fail "the installation failed"
block sql 1 | psql_jobs >>"$log" 2>&1 || fail "the first block of SQL failed"
block sh 2 | postgres >>"$log" 2>&1 &
main=$!
number=1
while sql=$(block sql $((number + 1))) && [ -n "$sql" ]; do
    number=$((number + 1))
    psql_jobs <<<"$sql" >>"$log" 2>&1 || fail "block $number of SQL failed: $sql"
done
[ "$number" -ge 9 ] || fail "the page has $number blocks of SQL that are executed"
is 20 "the rows at the target" docker exec --user postgres "$name" psql -XAt -d shop -c 'select count(*) from hello'
psql_jobs <<<'update async.control set enabled = false' >>"$log"
wait "$main" || fail "the call of async.main() failed"
holds "the SQL files and $number blocks of SQL do what the page says"

# The same with the binary, in a new database. It is not compiled here, and the shell waits for its end.
quietly "the binary is not copied" docker cp target/release/pgasync "$name:/usr/local/bin/pgasync"
docker exec --user postgres "$name" dropdb jobs
docker exec --user postgres "$name" createdb jobs
block sh 3 | grep -v '^cargo install' | sed 's/^pgasync start && pgasync run .*/wait; pgasync start/' |
    postgres >>"$log" 2>&1 || fail "the block for the binary failed"
is 'FINISHED' "the task" docker exec --user postgres "$name" psql -XAt -d jobs -c 'select finish_status from async.task'
holds "the binary does what the page says"
