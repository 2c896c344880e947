"""``GET /jobs/{id}/events`` inside the process: what is said, and when."""

from __future__ import annotations

import json
import threading
import time
import uuid
from dataclasses import dataclass
from datetime import timedelta

import pytest
import sqlalchemy as sa

from app.api import create_app
from app.api.services import EXTENSION
from app.auth import Scope
from app.models import JobRow
from app.settings.sections import AuthSettings


@dataclass
class Event:
    name: str
    id: str
    data: dict


def events_in(text: str) -> list[Event]:
    """Parse a stream; comments and ``retry`` are no events."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "event" in fields:
            found.append(Event(fields["event"], fields["id"], json.loads(fields["data"])))
    return found


@pytest.fixture
def listen(client):
    def ask(job_id, last_event_id=None):
        headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
        return client.get(f"/jobs/{job_id}/events", headers=headers)

    return ask


def after(seconds, act):
    timer = threading.Timer(seconds, act)
    timer.start()
    return timer


def test_a_stream_says_what_changes_and_then_the_end(client, jobs, listen):
    job_id = jobs.running()
    advance = after(0.1, lambda: jobs._set(job_id, progress=0.75, detail="3 of 4"))
    finish = after(0.6, lambda: jobs.complete(job_id))
    reply = listen(job_id)
    text = reply.text
    advance.join()
    finish.join()
    assert reply.headers["Content-Type"] == "text/event-stream"
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.headers["X-Accel-Buffering"] == "no"
    assert text.startswith("retry: 1000\n\n")
    first, second, end = events_in(text)
    assert first.data == {"status": "running", "stage": "classify", "progress": 0.5, "detail": ""}
    assert (second.name, second.data["detail"]) == ("progress", "3 of 4")
    assert (end.name, end.id, end.data) == ("end", "end", client.get(f"/jobs/{job_id}").json)


def test_what_a_client_knows_it_is_not_told_again(jobs, listen):
    job_id = jobs.running()
    (first,) = events_in(listen(job_id).text)
    assert events_in(listen(job_id, first.id).text) == []
    jobs._set(job_id, progress=0.6)
    (second,) = events_in(listen(job_id, first.id).text)
    assert second.data["progress"] == 0.6
    assert [event.id for event in events_in(listen(job_id, "of another job").text)] == [second.id]


def test_who_comes_back_after_the_end_is_told_it_once(jobs, listen):
    job_id = jobs.running()
    (seen,) = events_in(listen(job_id).text)
    jobs.complete(job_id)
    (end,) = events_in(listen(job_id, seen.id).text)
    assert end.name == "end"
    reply = listen(job_id, end.id)
    assert (reply.status_code, reply.text) == (204, "")


def test_a_stream_ends_when_its_time_is_over(jobs, listen, settings):
    began = time.monotonic()
    assert len(events_in(listen(jobs.queued()).text)) == 1
    assert time.monotonic() - began > settings.api.max_wait_seconds * 0.9


@pytest.mark.parametrize("job_id", [uuid.uuid4(), "nonsense"])
def test_a_job_that_is_not_there_has_no_events(listen, job_id):
    reply = listen(job_id)
    assert (reply.status_code, reply.json["code"]) == (404, "job.not_found")


def test_a_job_of_another_has_no_events(jobs, listen):
    assert listen(jobs.queued(owner="somebody")).status_code == 404


def test_a_stream_ends_when_the_job_is_erased(services, jobs, listen):
    job_id = jobs.running()

    def erase():
        with services.engine.begin() as connection:
            connection.execute(sa.delete(JobRow).where(JobRow.id == job_id))

    erasing = after(0.1, erase)
    assert [event.name for event in events_in(listen(job_id).text)] == ["progress"]
    erasing.join()
    assert listen(job_id).status_code == 404


def test_a_stream_lasts_no_longer_than_its_token(settings, jobs):
    auth = AuthSettings(secret="a secret that is long enough for it")
    api = settings.api.model_copy(update={"max_wait_seconds": 3600})
    app = create_app(settings.model_copy(update={"auth": auth, "api": api}))
    services = app.extensions[EXTENSION]
    token = services.tokens.issue("local", [Scope.JOBS_READ], timedelta(seconds=2))
    headers = {"Authorization": f"Bearer {token}"}
    reply = app.test_client().get(f"/jobs/{jobs.queued()}/events", headers=headers)
    assert [event.name for event in events_in(reply.text)] == ["progress"]
    services.engine.dispose()


def test_without_a_free_thread_a_stream_says_how_the_job_stands_and_ends(
    services, settings, jobs, listen
):
    permits = max(1, settings.api.threads // 2)
    for _ in range(permits):
        assert services.waiting.acquire(blocking=False)
    text = listen(jobs.running()).text
    services.waiting.release(permits)
    assert text.startswith("retry: 5000\n\n")
    assert len(events_in(text)) == 1


def test_streams_give_their_threads_back(services, settings, jobs, listen, client):
    job_id = jobs.completed()
    for _ in range(settings.api.threads):
        listen(job_id).get_data()
        client.head(f"/jobs/{job_id}/events")
        client.get(f"/jobs/{job_id}/events", buffered=False).close()
    for _ in range(max(1, settings.api.threads // 2)):
        assert services.waiting.acquire(blocking=False)


def test_silence_is_broken_so_that_proxies_keep_the_connection(monkeypatch, jobs, listen):
    monkeypatch.setattr("app.api.events._HEARTBEAT_SECONDS", 0.1)
    assert "\n\n:\n\n" in listen(jobs.queued()).text


@pytest.fixture
def outage(database):
    """Shut the database for a while: it ends all connections and accepts none."""
    name = sa.make_url(database).database
    outside = sa.create_engine(
        sa.make_url(database).set(database="template1"), isolation_level="AUTOCOMMIT"
    )

    def last(seconds):
        with outside.connect() as connection:
            connection.exec_driver_sql(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
            try:
                connection.execute(
                    sa.text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE datname = :name"
                    ),
                    {"name": name},
                )
                time.sleep(seconds)
            finally:
                connection.exec_driver_sql(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')

    yield last
    outside.dispose()


def test_a_database_that_goes_away_is_waited_for(outage, jobs, listen):
    job_id = jobs.running()

    def interrupt():
        outage(seconds=0.4)
        jobs.complete(job_id)

    breaking = after(0.1, interrupt)
    events = events_in(listen(job_id).text)
    breaking.join()
    assert [event.name for event in events] == ["progress", "end"]


def test_a_process_that_stops_ends_its_streams(services, jobs, listen, settings):
    stopping = after(0.1, services.stopping.set)
    began = time.monotonic()
    listen(jobs.queued()).get_data()
    stopping.join()
    assert time.monotonic() - began < settings.api.max_wait_seconds
