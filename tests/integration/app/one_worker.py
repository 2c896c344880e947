"""A worker that does one step when it is told to, with stages that need no model."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from app.db import create_db_engine
from app.jobs import Job, JobStatus, NewJob
from app.settings import Settings
from app.storage import open_store, store_of
from app.stores.jobs import JobStore
from app.stores.steps import StepStore
from ml.results import Analysis, Sentence, Summary
from ml.source.fetch import _open_upload
from ml.stage import Context, Outputs, Predictions, Recording, Sentences, Span, Transcript
from workers.runner import StepRunner

ME = "me"


def fetch(context: Context, outputs: Outputs, part: int) -> Recording:
    with _open_upload(context).file as upload:  # as the real stage does
        context.store.write("audio/1.wav", upload.read())
    return Recording("audio/1.wav", 2.0, (Span(0, 1), Span(1, 2)))


def transcribe(context: Context, outputs: Outputs, part: int) -> Transcript:
    context.store.read(outputs.one("fetch", Recording).audio)
    return Transcript("en", 1.0, (), f"part {part}")


def segment(context: Context, outputs: Outputs, part: int) -> Sentences:
    return Sentences("en", (Sentence(0, "Hi."),), ((0.0,),), "1", None, {})


def classify(context: Context, outputs: Outputs, part: int) -> Predictions:
    return Predictions((), "none")


def aggregate(context: Context, outputs: Outputs, part: int) -> Analysis:
    return Analysis("en", None, {}, (), Summary(0, 0.0, None, {}, (), ()))


RUN = {f.__name__: f for f in (fetch, transcribe, segment, classify, aggregate)}


class Service:
    """A worker that does one step when it is told to, and what it works with."""

    def __init__(self, database: str, directory: Path, **settings: Any) -> None:
        self.folder = directory / "artifacts"
        chosen = {"artifact_url": f"file://{self.folder}", **settings}
        loaded = Settings.load(database_url=database, **chosen)
        self.engine = create_db_engine(database)
        self.jobs = JobStore(self.engine)
        self.steps = StepStore(self.engine)
        self.all = open_store(loaded)
        self.artifacts = store_of(ME, self.all)
        self.runner = StepRunner(loaded, self.steps, self.all)

    def ready(self) -> list[int]:
        query = sa.text("SELECT id FROM steps WHERE state = 'ready' ORDER BY id")
        with self.engine.connect() as connection:
            return list(connection.execute(query).scalars())

    def step(self) -> None:
        self.runner.run(self.ready()[0], "worker")

    def stages(self) -> list[tuple[str, str]]:
        query = sa.text("SELECT stage, state FROM steps ORDER BY id")
        with self.engine.connect() as connection:
            return [(row.stage, row.state) for row in connection.execute(query)]

    def work(self) -> None:
        while self.ready():
            self.step()

    def upload(self) -> Job:
        self.artifacts.write("uploads/1", b"sound")
        return self.jobs.submit(NewJob("upload", "uploads/1", owner=ME))

    def status(self, job_id: UUID) -> JobStatus:
        return self.jobs.get(job_id, ME).status

    def lose(self, *names: str) -> None:
        """Remove some of the folders of the store."""
        for name in names:
            for folder in self.folder.glob(f"*/{name}"):
                shutil.rmtree(folder)
