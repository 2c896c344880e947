#!/bin/sh
# make backup: the database and the artifacts of a running docker-compose.yml, into one file.
set -eu
compose=${COMPOSE:-docker compose}
file=${1:-backups/emotion-clf-$(date -u +%Y%m%dT%H%M%SZ).tar}
umask 077
mkdir -p "$(dirname "$file")"
work=$(mktemp -d "$file.XXXXXX")
trap 'rm -rf "$work"' EXIT

# The database first: files are written before the database names them, so all that the dump names
# is there. What came later is unknown to it, and the janitor removes that after the restore.
# shellcheck disable=SC2086  # several words
$compose exec -T postgres pg_dump --username emotion_clf --format custom emotion_clf >"$work/database.dump"
# Files come and go meanwhile; tar says so with status 1. In an object store there are none here.
# shellcheck disable=SC2086,SC2016
$compose exec -T api sh -c 'mkdir -p /data/artifacts
  tar --create --directory /data --warning=no-file-removed --warning=no-file-changed artifacts \
    || test $? -eq 1' >"$work/artifacts.tar"
tar --create --file "$work/backup.tar" --directory "$work" database.dump artifacts.tar
mv "$work/backup.tar" "$file"
echo "$file"
