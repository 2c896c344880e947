"""The least that a service like ours could be, as the limit that bench/service.py compares with.

One Flask application on waitress, like the API, with two routes: one commits a row to Postgres and
pushes a message to Redis, the other reads one row by its primary key. No validation, no accounts,
no log, no document. Started by bench/service.py.
"""

from __future__ import annotations

import argparse
import os
import uuid

import redis
from flask import Flask, jsonify, request
from psycopg2.pool import ThreadedConnectionPool
from waitress import serve

THREADS = 16
TABLE = "CREATE TABLE IF NOT EXISTS bare_jobs (id uuid PRIMARY KEY, status text, body text)"


def create_app(dsn: str, redis_url: str) -> Flask:
    """Return the application; it makes its table."""
    pool = ThreadedConnectionPool(THREADS, THREADS, dsn)
    broker = redis.Redis.from_url(redis_url)
    app = Flask(__name__)
    connection = pool.getconn()
    with connection, connection.cursor() as cursor:
        cursor.execute(TABLE)
    pool.putconn(connection)

    @app.post("/jobs")
    def create() -> tuple[object, int]:
        job_id = str(uuid.uuid4())
        connection = pool.getconn()
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(
                    "INSERT INTO bare_jobs VALUES (%s, 'queued', %s)",
                    (job_id, request.get_data(as_text=True)),
                )
        finally:
            pool.putconn(connection)
        broker.lpush("bare", job_id)
        return jsonify(id=job_id, status="queued"), 202

    @app.get("/jobs/<job_id>")
    def read(job_id: str) -> object:
        connection = pool.getconn()
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute("SELECT id, status FROM bare_jobs WHERE id = %s", (job_id,))
                found = cursor.fetchone()
        finally:
            pool.putconn(connection)
        return jsonify(id=str(found[0]), status=found[1])

    return app


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    port = parser.parse_args().port
    app = create_app(os.environ["BARE_DSN"], os.environ["REDIS_URL"])
    serve(app, host="127.0.0.1", port=port, threads=THREADS)


if __name__ == "__main__":
    main()
