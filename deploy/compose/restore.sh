#!/bin/sh
# make restore FILE=…: what make backup wrote, into a running docker-compose.yml without jobs.
set -eu
compose=${COMPOSE:-docker compose}
file=${1:?Which file? make restore FILE=…}
work=$(mktemp -d "$file.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
tar --extract --file "$file" --directory "$work"

# shellcheck disable=SC2086  # several words
compose() { $compose "$@"; }

service() { compose "$1" api dispatcher worker-cpu worker-gpu flower; }

query() {
  compose exec -T postgres psql --username emotion_clf --no-align --tuples-only --quiet --set ON_ERROR_STOP=1 \
    "$@" emotion_clf
}

jobs=$(query --command 'SELECT count(*) FROM jobs')
if [ "$jobs" != 0 ]; then
  echo "There are $jobs jobs here, and a restore would replace them." \
    "To begin anew: docker compose down --volumes && docker compose up --detach" >&2
  exit 1
fi

# Nobody may submit what the restore would replace. Whatever happens, they start again.
trap 'rm -rf "$work"; echo "The restore came to no end; the service starts again." >&2; service start' EXIT
service stop
compose run --rm --no-deps -T api tar --extract --directory /data <"$work/artifacts.tar"
# The dump of an older version knows nothing of newer tables, so all go, in the transaction that
# brings the old ones back: where it fails, the database is as it was.
{
  echo 'BEGIN; DROP SCHEMA public CASCADE; CREATE SCHEMA public;'
  compose exec -T postgres pg_restore --no-owner --file - <"$work/database.dump"
  echo 'COMMIT;'
} >"$work/database.sql"
query --file - <"$work/database.sql" >/dev/null
compose run --rm --no-deps -T migrate
# It may remember to have sent steps of the jobs that were here before.
compose exec -T redis redis-cli flushall >/dev/null
trap 'rm -rf "$work"' EXIT
service start
# The token of Prometheus belongs to a client of the former database.
if compose config --services | grep -x metrics-token >/dev/null; then
  compose run --rm --no-deps -T metrics-token
fi
echo "Restored. What was erased since $file was made is back: docs/operations.md says how to erase it again."
