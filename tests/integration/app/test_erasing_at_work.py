"""A job is erased while a worker is at it: what that still writes must not stay."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from one_worker import ME, RUN, Service

import ml.pipeline
from app.errors import LeaseLost
from app.jobs import Claim, Job
from app.storage import store_of
from app.stores.dispatch import DispatchStore
from app.stores.erasure import ErasureStore
from ml.stage import Context, Outputs, Recording, Span


class Killed(BaseException):
    """The end of the worker's process: nobody catches it."""


class Scene:
    """A worker that fetches, and what happens meanwhile."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.erasures = ErasureStore(service.engine)
        self.job: Job = service.upload()

    def erase(self) -> bool:
        return self.erasures.erase(self.job.id, ME)

    def janitor(self) -> None:
        """Do what janitors do every second."""
        self.erasures.finish()
        folder = store_of(ME, self.service.all)
        while self.erasures.purge(lambda owner, key: folder.delete(key)):
            pass

    def take_step_away(self) -> None:
        with self.service.engine.connect() as connection:
            running = connection.execute(sa.text("SELECT id FROM steps")).scalar_one()
        assert DispatchStore(self.service.engine).lose(running, "worker")

    def left(self) -> list[str]:
        files = [str(p) for p in self.service.folder.rglob("*") if p.is_file()]
        with self.service.engine.connect() as connection:
            for table in ("jobs", "steps", "deletions"):
                files += map(str, connection.execute(sa.text(f"SELECT * FROM {table}")))
        return files


class Slow(io.BytesIO):
    """An upload in whose middle something happens."""

    def __init__(self, happens: Callable[[], object]) -> None:
        super().__init__(b"sound")
        self._happens = happens

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() == 0:
            self._happens()
        return super().read(size)


@pytest.fixture
def scene(database: str, tmp_path: Path) -> Iterator[Scene]:
    service = Service(database, tmp_path)
    yield Scene(service)
    service.engine.dispose()


@pytest.fixture
def work(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Run the step; ``meanwhile`` happens in the middle of a write, ``after`` at its end."""

    def work(meanwhile: Callable[[], object], after: Callable[[], object] = lambda: None) -> None:
        def fetch(context: Context, outputs: Outputs, part: int) -> Recording:
            context.store.write_stream("audio/1.wav", Slow(meanwhile))
            after()
            return Recording("audio/1.wav", 1.0, (Span(0, 1),))

        run = RUN | {"fetch": fetch}
        stages = tuple(replace(stage, run=run[stage.name]) for stage in ml.pipeline.STAGES)
        monkeypatch.setattr(ml.pipeline, "STAGES", stages)
        scene.service.step()

    return work


def test_the_worker_goes_on_until_it_hears_of_it(scene: Scene, work: Callable[..., None]) -> None:
    work(scene.erase, after=scene.janitor)
    assert scene.left() != []  # its row, and what it has just stopped to work on
    scene.janitor()
    assert scene.left() == []


@pytest.mark.parametrize("moment", ["meanwhile", "after"])
def test_the_worker_dies(scene: Scene, work: Callable[..., None], moment: str) -> None:
    def die() -> None:
        assert scene.erase() is False
        raise Killed

    with pytest.raises(Killed):
        work(**{"meanwhile": lambda: None, moment: die})
    # A process that is killed does not tidy up either.
    (folder,) = scene.service.folder.glob("*/audio")
    (folder / "1.wav").write_bytes(b"sound")
    scene.janitor()
    assert scene.left() != []
    scene.take_step_away()
    scene.janitor()
    assert scene.left() == []


def test_the_worker_dies_before_and_is_erased_later(
    scene: Scene, work: Callable[..., None]
) -> None:
    def die() -> None:
        raise Killed

    with pytest.raises(Killed):
        work(lambda: None, after=die)
    scene.take_step_away()
    assert scene.erase() is True
    scene.janitor()
    assert scene.left() == []


@pytest.fixture
def erase_all(scene: Scene) -> Callable[[], None]:
    """The worker is taken for dead, and its job erased with everything."""

    def erase_all() -> None:
        scene.take_step_away()
        assert scene.erase() is True
        scene.janitor()
        assert scene.left() == []

    return erase_all


def test_the_worker_was_taken_for_dead_in_the_middle_of_a_write(
    scene: Scene, work: Callable[..., None], erase_all: Callable[[], None]
) -> None:
    work(erase_all)
    scene.janitor()
    assert scene.left() == []


def test_the_worker_was_taken_for_dead_after_its_write(
    scene: Scene, work: Callable[..., None], erase_all: Callable[[], None]
) -> None:
    work(lambda: None, after=erase_all)
    assert not list(scene.service.folder.rglob("*.*"))  # the stage's output was not even begun
    scene.janitor()
    assert scene.left() == []


def test_the_worker_was_taken_for_dead_just_before_its_write(
    scene: Scene,
    work: Callable[..., None],
    erase_all: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    note = scene.service.steps.note

    def noted(claim: Claim, keys: Sequence[str]) -> None:
        note(claim, keys)
        erase_all()

    monkeypatch.setattr(scene.service.steps, "note", noted)

    def lost() -> None:
        raise LeaseLost

    work(lambda: None, after=lost)
    assert list(scene.service.folder.rglob("1.wav"))  # too late for the janitor
    scene.janitor()
    assert scene.left() == []


def test_an_operator_erases_by_a_statement(scene: Scene, work: Callable[..., None]) -> None:
    """As the documentation says, after a backup was restored."""

    def erase_by_hand() -> None:
        with scene.service.engine.begin() as connection:
            connection.execute(sa.text("UPDATE jobs SET erasing = true"))

    work(erase_by_hand)
    scene.janitor()
    assert scene.left() == []
