#!/bin/sh
# make restore FILE=…: what make backup wrote, into a running docker-compose.yml without jobs.
set -eu
compose=${COMPOSE:-docker compose}
file=${1:?Which file? make restore FILE=…}
work=$(mktemp -d "$file.XXXXXX")
trap 'rm -rf "$work"' EXIT
tar --extract --file "$file" --directory "$work"

# shellcheck disable=SC2086  # several words, as below in $services
compose() { $compose "$@"; }

services="api dispatcher worker-cpu worker-gpu flower"

jobs=$(compose exec -T postgres psql --username emotion_clf --no-align --tuples-only \
  --command 'SELECT count(*) FROM jobs' emotion_clf)
if [ "$jobs" != 0 ]; then
  echo "There are $jobs jobs here, and a restore would replace them." \
    "To begin anew: docker compose down --volumes && docker compose up --detach" >&2
  exit 1
fi

# Nobody may submit what the restore would replace.
compose stop $services
compose run --rm --no-deps -T api tar --extract --directory /data <"$work/artifacts.tar"
compose exec -T postgres pg_restore --username emotion_clf --dbname emotion_clf \
  --clean --if-exists --no-owner --single-transaction <"$work/database.dump"
compose run --rm --no-deps -T migrate
# It may remember to have sent steps of the jobs that were here before.
compose exec -T redis redis-cli flushall >/dev/null
compose start $services
echo "Restored. What was erased since $file was made is back: docs/operations.md says how to erase it again."
