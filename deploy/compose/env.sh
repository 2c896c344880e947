#!/bin/sh
# make env: writes the secrets of docker-compose.yml, new ones each time, and never over old ones.
set -eu
file=${1:-.env}
umask 077
set -C  # a file that is there already stops the next line

secret() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }

cat >"$file" <<END
# Secrets of docker-compose.yml. Keep a copy elsewhere: make backup does not hold them.
POSTGRES_PASSWORD=$(secret)
REDIS_PASSWORD=$(secret)
AUTH_SECRET=$(secret)
WEBHOOK_SECRET=$(secret)
FLOWER_PASSWORD=$(secret)
GRAFANA_PASSWORD=$(secret)

# Where the API listens; 0.0.0.0 opens it to other machines, which belongs behind TLS.
#API_ADDRESS=127.0.0.1
#API_PORT=8000

# How many containers of workers; what --scale says instead is forgotten at the next up.
#WORKER_CPU_COUNT=1
#WORKER_GPU_COUNT=1

# With an NVIDIA GPU; a docker-compose.override.yml is read only if it is named there too, as the third.
#COMPOSE_FILE=docker-compose.yml:docker-compose.gpu.yml
# With Prometheus and Grafana:
#COMPOSE_PROFILES=monitoring
END
echo "$file holds new secrets."
