"""Health, metrics, headers, and the request log."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa
from alembic import command
from sqlalchemy.engine import make_url

from app.api import create_app
from app.api.services import EXTENSION
from app.db import create_db_engine
from app.settings import Settings
from migrations.run import alembic_config


def test_live_looks_at_nothing_else(settings, tmp_path):
    lost = Settings.load(
        database_url="postgresql://127.0.0.1:1/none",
        redis_url="redis://127.0.0.1:1/0",
        artifact_url=f"file://{tmp_path}",
    )
    assert create_app(lost).test_client().get("/health").json == {"status": "ok"}


def test_ready(client, workers):
    reply = client.get("/health/ready")
    assert (reply.status_code, reply.json) == (200, {"status": "ok"})


def test_ready_names_what_does_not_do_its_work(client, services, jobs, workers):
    def wrong():
        return {e["field"]: e["message"] for e in client.get("/health/ready").json["errors"]}

    def long_ago(table, column):
        statement = sa.text(f"UPDATE {table} SET {column} = now() - interval '1 hour'")
        with services.engine.begin() as connection:
            connection.execute(statement)

    jobs.queued()
    long_ago("workers", "started_at")
    long_ago("steps", "created_at")
    assert wrong() == {"dispatcher": "It does not send what waits."}
    long_ago("steps", "published_at")
    assert wrong() == {"workers.cpu": "It does not take what waits."}


def test_ready_names_the_workers_that_are_missing(client, services):
    def missing():
        reply = client.get("/health/ready")
        assert reply.status_code == 503
        assert reply.json["code"] == "service.not_ready"
        assert reply.headers["Retry-After"]
        return [entry["field"] for entry in reply.json["errors"]]

    assert missing() == ["workers.cpu", "workers.gpu"]
    services.workers.enter("cpu-1", "cpu", "host", 1)
    assert missing() == ["workers.gpu"]
    services.workers.enter("gpu-1", "gpu", "host", 1)
    with services.engine.begin() as connection:
        connection.execute(
            sa.text("UPDATE workers SET seen_at = now() - interval '1 minute' WHERE queue = 'cpu'")
        )
    assert missing() == ["workers.cpu"]


@pytest.mark.parametrize(
    ("lost", "names"),
    [
        ({"redis_url": "redis://127.0.0.1:1/0"}, ["broker"]),
        ({"database_url": "postgresql://127.0.0.1:1/none"}, ["database"]),
    ],
)
def test_ready_names_the_server_that_is_missing(settings, workers, lost, names):
    app = create_app(settings.model_copy(update=lost))
    reply = app.test_client().get("/health/ready")
    assert reply.status_code == 503
    assert [entry["field"] for entry in reply.json["errors"]] == names
    assert all(name in reply.json["detail"] for name in names)
    assert "127.0.0.1" not in reply.text


@pytest.fixture
def empty_database(migrated_url):
    """The address of a database that was never migrated."""
    engine = create_db_engine(migrated_url)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("DROP DATABASE IF EXISTS no_tables WITH (FORCE)"))
        connection.execute(sa.text("CREATE DATABASE no_tables"))
    engine.dispose()
    return make_url(migrated_url).set(database="no_tables").render_as_string(hide_password=False)


def test_ready_names_a_database_without_tables(settings, empty_database):
    app = create_app(settings.model_copy(update={"database_url": empty_database}))
    reply = app.test_client().get("/health/ready")
    app.extensions[EXTENSION].engine.dispose()
    assert reply.status_code == 503
    (missing,) = reply.json["errors"]
    assert missing["field"] == "database"
    assert "python -m migrations.run" in missing["message"]


def test_ready_names_a_database_with_the_tables_of_an_older_version(settings, empty_database):
    command.upgrade(alembic_config(empty_database), "0001")
    test_ready_names_a_database_without_tables(settings, empty_database)


def test_without_a_database_jobs_are_refused_for_now(settings):
    app = create_app(settings.model_copy(update={"database_url": "postgresql://127.0.0.1:1/x"}))
    for reply in (
        app.test_client().get("/jobs"),
        app.test_client().post("/jobs", json={"text": "Hello."}),
    ):
        assert (reply.status_code, reply.json["code"]) == (503, "service.unavailable")
        assert reply.headers["Retry-After"]
        assert "127.0.0.1" not in reply.text


def test_without_a_broker_jobs_are_taken(settings):
    app = create_app(settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"}))
    assert app.test_client().post("/jobs", json={"text": "Hello."}).status_code == 202


def value_of(metrics: str, sample: str) -> float:
    found = re.search(rf"^{re.escape(sample)} (\S+)$", metrics, re.MULTILINE)
    assert found, f"{sample} is not in\n{metrics}"
    return float(found[1])


def test_metrics(client, services, jobs, workers):
    jobs.queued()
    jobs.completed()
    waiting = services.broker.depths()["gpu"]
    services.broker.send(1, "gpu")
    job_id = jobs.running()
    client.get(f"/jobs/{job_id}")
    client.get("/jobs?status=queued")
    client.get("/nothing/here")
    client.open("/jobs", method="FROB")
    reply = client.get("/metrics")
    assert reply.mimetype == "text/plain"
    assert value_of(reply.text, 'emotion_clf_jobs{status="queued"}') == 1
    assert value_of(reply.text, 'emotion_clf_jobs{status="completed"}') == 1
    assert value_of(reply.text, 'emotion_clf_jobs{status="failed"}') == 0
    assert 0 < value_of(reply.text, "emotion_clf_oldest_queued_seconds") < 60
    assert value_of(reply.text, 'emotion_clf_workers{queue="cpu"}') == 1
    assert value_of(reply.text, 'emotion_clf_queue_length{queue="gpu"}') == waiting + 1
    assert value_of(reply.text, "emotion_clf_database_up") == 1
    assert value_of(reply.text, "emotion_clf_broker_up") == 1
    assert value_of(reply.text, 'emotion_clf_steps{queue="cpu",state="ready"}') == 3
    assert 0 < value_of(reply.text, 'emotion_clf_oldest_ready_step_seconds{queue="cpu"}') < 60
    assert value_of(reply.text, 'emotion_clf_workers_hanging{queue="cpu"}') == 0
    assert value_of(reply.text, "emotion_clf_http_requests_in_flight") == 1, "this one"
    assert value_of(reply.text, "emotion_clf_artifact_disk_free_bytes") > 0
    assert value_of(reply.text, "process_resident_memory_bytes") > 0
    count = "emotion_clf_http_request_duration_seconds_count"
    labels = '{method="GET",route="/jobs/<job_id>",status="200"}'
    assert value_of(reply.text, count + labels) == 1
    assert value_of(reply.text, count + '{method="GET",route="none",status="404"}') == 1
    assert value_of(reply.text, count + '{method="other",route="none",status="405"}') == 1
    assert str(job_id) not in reply.text


def test_metrics_say_what_is_down(settings):
    lost = {"database_url": "postgresql://127.0.0.1:1/x", "redis_url": "redis://127.0.0.1:1/0"}
    reply = create_app(settings.model_copy(update=lost)).test_client().get("/metrics")
    assert reply.status_code == 200
    assert value_of(reply.text, "emotion_clf_database_up") == 0
    assert value_of(reply.text, "emotion_clf_broker_up") == 0
    assert "emotion_clf_jobs" not in reply.text


@pytest.mark.parametrize("path", ["/jobs", "/health", "/metrics", "/nothing", "/openapi.json"])
def test_data_is_not_kept_and_not_framed(client, path):
    headers = client.get(path).headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert "default-src 'none'" in headers["Content-Security-Policy"]


def test_a_sane_request_id_is_kept(client):
    kept = client.get("/health", headers={"X-Request-ID": "abc-1.2_3"})
    assert kept.headers["X-Request-ID"] == "abc-1.2_3"
    for odd in ("a b", "x" * 65, "\u00e4", ""):
        made = client.get("/health", headers={"X-Request-ID": odd}).headers["X-Request-ID"]
        assert re.fullmatch("[0-9a-f]{32}", made)


def test_the_log_holds_no_query_and_no_text(client, capfd):
    client.post("/jobs?token=hidden", json={"text": "A secret sentence."})
    client.get("/jobs?cursor=hidden")
    written = "".join(capfd.readouterr())
    assert "/jobs" in written
    assert "hidden" not in written
    assert "secret" not in written
