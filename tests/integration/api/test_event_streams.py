"""Server-sent events over the real server: many clients, and clients that hang up."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
import requests
import sqlalchemy as sa
from receiver import until
from test_api_events import events_in
from test_api_process import started

from app.db import create_db_engine
from app.jobs import JobStatus, NewJob
from app.models import JobRow
from app.settings.sections import ApiSettings
from app.stores.jobs import JobStore

STREAMS = ApiSettings().threads // 2
CLIENTS = 50


@pytest.fixture
def api(database, redis_url, tmp_path):
    with started(database, redis_url, tmp_path) as (child, address):
        yield child, address


class Work:
    """A job that the test brings forward, as workers would."""

    def __init__(self, database: str) -> None:
        self.engine = create_db_engine(database)
        self.id = JobStore(self.engine).submit(NewJob("text", "Hm.")).id

    def set(self, **values) -> None:
        with self.engine.begin() as connection:
            connection.execute(sa.update(JobRow).where(JobRow.id == self.id).values(**values))


@pytest.fixture
def work(database):
    work = Work(database)
    yield work
    work.engine.dispose()


@contextmanager
def stream(address, work, last_event_id=None) -> Iterator[Iterator[str]]:
    """Open a stream; yield its blocks as they come."""
    headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
    url = f"{address}/jobs/{work.id}/events"
    with requests.get(url, headers=headers, stream=True, timeout=20) as reply:
        assert reply.status_code == 200
        # Byte by byte: what has come must not wait for what has not.
        lines = reply.iter_lines(chunk_size=1, decode_unicode=True)
        yield blocks_of(lines)


def blocks_of(lines: Iterator[str]) -> Iterator[str]:
    block: list[str] = []
    for line in lines:
        if line:
            block.append(line)
        else:
            yield "\n".join(block)
            block = []


def test_progress_arrives_while_the_job_goes_on_and_a_client_resumes(api, work):
    _, address = api
    with stream(address, work) as blocks:
        assert next(blocks) == "retry: 1000"
        (queued,) = events_in(next(blocks))
        assert queued.data["status"] == "queued"
        work.set(status=JobStatus.RUNNING, stage="classify", progress=0.5)
        (running,) = events_in(next(blocks))
        assert running.data["progress"] == 0.5
    with stream(address, work, running.id) as blocks:
        next(blocks)
        work.set(status=JobStatus.CANCELLED)
        (end,) = events_in(next(blocks))
        assert (end.name, end.data["status"]) == ("end", "cancelled")
        assert next(blocks, None) is None
    url = f"{address}/jobs/{work.id}/events"
    again = requests.get(url, headers={"Last-Event-ID": end.id}, timeout=10)
    assert (again.status_code, again.content) == (204, b"")


def test_many_streams_leave_threads_for_other_requests(api, work):
    _, address = api
    following = [Follower(address, work) for _ in range(CLIENTS)]
    for follower in following:
        follower.start()
    until(lambda: all(follower.retry for follower in following))
    assert sum(follower.retry == "retry: 1000" for follower in following) == STREAMS
    for _ in range(20):
        assert requests.get(f"{address}/jobs", timeout=10).status_code == 200
    work.set(status=JobStatus.CANCELLED)
    for follower in following:
        follower.join(30)
        assert follower.last == "end"


class Follower(threading.Thread):
    """Follows a job as a browser does: it connects again, with what it has seen."""

    def __init__(self, address, work) -> None:
        super().__init__(daemon=True)
        self._address, self._work = address, work
        self.retry = self.last = ""
        self._seen = None
        self._ended = threading.Event()

    def run(self) -> None:
        while self.last != "end":
            with stream(self._address, self._work, self._seen) as blocks:
                retry = next(blocks)
                self.retry = self.retry or retry
                for block in blocks:
                    for event in events_in(block):
                        self._seen, self.last = event.id, event.name
            self._ended.wait(0.5)


def test_a_client_that_hangs_up_frees_its_thread(api, work):
    _, address = api
    with ExitStack() as held:
        for _ in range(STREAMS):
            assert next(held.enter_context(stream(address, work))) == "retry: 1000"
        assert retry(address, work) == "retry: 5000"
    until(lambda: retry(address, work) == "retry: 1000", seconds=10)


def retry(address, work) -> str:
    with stream(address, work) as blocks:
        return next(blocks)


def test_the_server_stops_though_streams_are_open(api, work, tmp_path):
    child, address = api
    with stream(address, work) as blocks:
        next(blocks)
        next(blocks)
        child.send_signal(signal.SIGTERM)
        assert next(blocks, None) is None
        child.communicate(timeout=15)
    assert "still running" not in (tmp_path / "api.log").read_text()
