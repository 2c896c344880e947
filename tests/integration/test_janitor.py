"""What is removed when, from a real database and a real store."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.errors import ResultExpired
from app.jobs import Callback, JobStatus, NewJob, Output, Repeatable
from app.settings.sections import RetentionSettings
from app.storage import folder_of
from app.stores.erasure import ErasureStore
from app.stores.jobs import JobStore
from app.stores.retention import RetentionStore
from app.stores.steps import StepStore
from ml.artifacts import ArtifactStore
from workers.janitor import Janitor

ME = "me"
HOURS, DAYS = 24, 30
RECENT, OLD = HOURS - 1, HOURS + 1


@pytest.fixture
def jobs(engine: sa.Engine) -> JobStore:
    return JobStore(engine)


@pytest.fixture
def steps(engine: sa.Engine) -> StepStore:
    return StepStore(engine)


class Store:
    """The artifacts of all owners, whose age the test chooses."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.all = ArtifactStore(f"file://{directory}")

    def put(self, key: str, *, hours: float, owner: str = ME) -> None:
        """Store an object that was last written so long ago."""
        folder = folder_of(owner) if owner else "."
        self.all.below(folder).write(key, b"x")
        then = (datetime.now(UTC) - timedelta(hours=hours)).timestamp()
        os.utime(self.directory / folder / key, (then, then))

    def keys(self) -> list[str]:
        """Return what is there, without the owners' folders."""
        files = (p for p in self.directory.rglob("*") if p.is_file())
        return sorted("/".join(p.relative_to(self.directory).parts[1:]) for p in files)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "artifacts")


@pytest.fixture
def janitor(engine: sa.Engine, store: Store) -> Callable[..., Janitor]:
    def janitor(audio_hours: float = HOURS, result_days: float = DAYS) -> Janitor:
        settings = RetentionSettings(audio_hours=audio_hours, result_days=result_days)
        return Janitor(ErasureStore(engine), RetentionStore(engine), store.all, settings)

    return janitor


def count(engine: sa.Engine, table: str) -> int:
    with engine.connect() as connection:
        return int(connection.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar_one())


def execute(engine: sa.Engine, statement: str, **parameters: object) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text(statement), parameters)


@pytest.fixture
def ended(engine: sa.Engine, jobs: JobStore, steps: StepStore) -> Callable[..., uuid.UUID]:
    """Have a job that completed some hours ago and refers to artifacts."""

    def ended(new: NewJob, *blobs: str, hours: float) -> uuid.UUID:
        job = jobs.submit(new)
        query = sa.text("SELECT id FROM steps WHERE job_id = :job")
        with engine.connect() as connection:
            step = connection.execute(query, {"job": job.id}).scalar_one()
        claim = steps.claim(step, "worker")
        assert claim is not None
        steps.finish(claim, Output(f"stages/{job.id}", blobs), None, {"text": "said"})
        execute(
            engine,
            "UPDATE jobs SET finished_at = now() - make_interval(hours => :h) WHERE id = :id",
            h=hours,
            id=job.id,
        )
        return job.id

    return ended


UPLOAD = NewJob("upload", "uploads/1", owner=ME, title="talk.wav")


class TestArtifacts:
    def test_they_go_a_day_after_their_job(self, store, janitor, ended) -> None:
        store.put("uploads/1", hours=OLD)
        store.put("audio/1.wav", hours=OLD)
        ended(UPLOAD, "audio/1.wav", hours=OLD)
        janitor().tidy()
        assert store.keys() == []

    def test_those_of_open_jobs_stay_whatever_their_age(self, store, janitor, jobs) -> None:
        store.put("uploads/1", hours=1000)
        jobs.submit(UPLOAD)
        janitor().tidy()
        assert store.keys() == ["uploads/1"]

    def test_the_day_begins_when_the_last_job_ends(self, store, janitor, ended) -> None:
        store.put("uploads/1", hours=OLD)
        store.put("audio/1.wav", hours=OLD)
        ended(UPLOAD, "audio/1.wav", hours=OLD)
        ended(NewJob("url", "https://example.org", owner=ME), "audio/1.wav", hours=RECENT)
        janitor().tidy()
        assert store.keys() == ["audio/1.wav"]

    def test_an_upload_whose_job_was_never_accepted_goes(self, store, janitor) -> None:
        store.put("uploads/1", hours=OLD)
        store.put("uploads/2", hours=RECENT)
        janitor().tidy()
        assert store.keys() == ["uploads/2"]

    def test_another_owners_job_keeps_nothing(self, store, janitor, jobs) -> None:
        store.put("uploads/1", hours=OLD, owner="somebody else")
        jobs.submit(UPLOAD)
        janitor().tidy()
        assert store.keys() == []

    def test_what_older_versions_stored_goes(self, store, janitor) -> None:
        store.put("audio/1.wav", hours=OLD, owner="")
        janitor().tidy()
        assert store.keys() == []

    def test_what_is_none_of_ours_stays(self, store, janitor) -> None:
        """A bucket may be shared."""
        theirs = ["talk.wav", "backups/uploads/1", "0123456789abcdef/uploads/1"]
        for key in theirs:
            store.put(key, hours=10_000, owner="")
        janitor().tidy()
        for key in theirs:
            assert store.all.exists(key)

    def test_one_that_cannot_be_removed_holds_up_no_other(
        self, store, janitor, monkeypatch
    ) -> None:
        for number in range(3):
            store.put(f"uploads/{number}", hours=OLD)
        delete = ArtifactStore.delete

        def fails_once(self: ArtifactStore, key: str) -> None:
            if key.endswith("/1"):
                raise PermissionError
            delete(self, key)

        monkeypatch.setattr(ArtifactStore, "delete", fails_once)
        janitor().tidy()
        assert store.keys() == ["uploads/1"]

    def test_a_full_folder_goes_batch_by_batch(self, store, janitor, monkeypatch) -> None:
        monkeypatch.setattr("workers.janitor.KEYS", 2)
        for number in range(5):
            store.put(f"uploads/{number}", hours=OLD)
        janitor().tidy()
        assert store.keys() == []

    def test_zero_keeps_those_of_jobs_for_ever_and_orphans_for_a_day(
        self, store, janitor, ended
    ) -> None:
        store.put("uploads/1", hours=10_000)
        store.put("uploads/2", hours=OLD)
        ended(UPLOAD, hours=10_000)
        janitor(audio_hours=0).tidy()
        assert store.keys() == ["uploads/1"]


class TestResults:
    def test_they_go_after_their_days_with_what_names_the_job(
        self, engine, janitor, jobs, ended
    ) -> None:
        old = ended(UPLOAD, hours=24 * DAYS + 1)
        new = ended(UPLOAD, hours=24 * DAYS - 1)
        janitor().tidy()
        job = jobs.get(old, ME)
        assert (job.status, job.expired, job.title, job.source) == (
            JobStatus.COMPLETED,
            True,
            None,
            "",
        )
        with pytest.raises(ResultExpired):
            jobs.result(old, ME)
        assert jobs.result(new, ME) == {"text": "said"}
        assert count(engine, "results") == 1

    def test_reports_go_with_them(self, engine, janitor, ended) -> None:
        new = NewJob("text", "Hi.", owner=ME, callback=Callback("https://example.org/secret"))
        ended(new, hours=24 * DAYS + 1)
        assert count(engine, "deliveries") == 1
        janitor().tidy()
        assert count(engine, "deliveries") == 0
        assert count(engine, "jobs WHERE callback_url IS NOT NULL") == 0

    def test_zero_keeps_them(self, engine, janitor, ended) -> None:
        ended(UPLOAD, hours=10_000)
        janitor(result_days=0).tidy()
        assert count(engine, "results") == 1

    def test_open_jobs_do_not_expire(self, engine, janitor, jobs) -> None:
        job = jobs.submit(UPLOAD)
        execute(engine, "UPDATE jobs SET created_at = now() - interval '1 year'")
        janitor().tidy()
        assert jobs.get(job.id, ME).expired is False

    def test_many_go_batch_by_batch(self, engine, janitor, jobs, monkeypatch) -> None:
        for module in ("app.stores.retention.BATCH", "workers.janitor.RESULTS"):
            monkeypatch.setattr(module, 2)
        for _ in range(3):
            jobs.cancel(jobs.submit(UPLOAD).id, ME)
        execute(engine, "UPDATE jobs SET finished_at = now() - interval '1 year'")
        busy = janitor()
        assert (busy.tidy(), busy.tidy()) == (True, False)
        assert count(engine, "jobs WHERE expired") == 3


def test_what_is_of_no_use_any_more_goes(engine, janitor, jobs) -> None:
    jobs.submit(UPLOAD, Repeatable("old", "digest"))
    execute(engine, "UPDATE idempotency_keys SET created_at = now() - interval '25 hours'")
    jobs.submit(UPLOAD, Repeatable("new", "digest"))
    for when in ("- interval '2 hours'", "- interval '1 minute'"):
        execute(engine, f"INSERT INTO revoked_tokens VALUES (:jti, now() {when})", jti=when)
    for days in (61, 1):
        execute(engine, "INSERT INTO usage VALUES ('me', current_date - :days, 1)", days=days)
    for title in ("empty", "used"):
        batch = "INSERT INTO batches (id, owner, title, total) VALUES (:id, 'me', :title, 1)"
        batch_id = uuid.uuid4()
        execute(engine, batch, id=batch_id, title=title)
        key = "INSERT INTO idempotency_keys VALUES ('me', :key, 'digest', :id)"
        execute(engine, key, key=title, id=batch_id)
    execute(
        engine,
        "UPDATE jobs SET batch_index = 0, batch_id = (SELECT id FROM batches WHERE title = 'used')",
    )
    janitor().tidy()
    for table in ("revoked_tokens", "usage", "batches"):
        assert count(engine, table) == 1, table
    assert count(engine, "idempotency_keys WHERE key IN ('new', 'used')") == 2
    assert count(engine, "idempotency_keys") == 2


def test_what_was_erased_goes_from_the_store(engine, janitor, store, jobs) -> None:
    store.put("uploads/1", hours=0)
    store.put("uploads/1", hours=0, owner="somebody else")
    ErasureStore(engine).erase(jobs.submit(UPLOAD).id, ME)
    assert janitor().erase() is False
    assert store.keys() == ["uploads/1"]
    assert count(engine, "deletions") == 0


def test_there_is_nothing_to_do_in_an_empty_house(janitor) -> None:
    assert janitor().erase() is False
    assert janitor().tidy() is False
