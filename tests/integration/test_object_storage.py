"""Artifacts in S3 and in Azure's Blob storage: real servers of both, on good days and on bad."""

from __future__ import annotations

import io
import itertools
import os
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import fsspec
import pytest
import sqlalchemy as sa
from object_store import BUCKET, CREDENTIALS, S3, Weather, azure_server, azurite

from app.jobs import NewJob
from app.settings import Settings
from app.settings.sections import RetentionSettings
from app.storage import folder_of
from app.stores.erasure import ErasureStore
from app.stores.jobs import JobStore
from app.stores.retention import RetentionStore
from emotion_clf.cli import doctor
from ml.artifacts import ArtifactMissing, ArtifactStore
from ml.errors import StoreRefused, StoreUnavailable
from workers.janitor import Janitor
from workers.main import main, verify

MIB = 1 << 20


@pytest.fixture(scope="session")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    if azurite() is None:
        pytest.skip("Azurite is not installed: make azurite")
    with azure_server(tmp_path_factory.mktemp("azure")) as environment:
        yield environment


@pytest.fixture(params=["s3", "abfs"])
def url(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """An address below which nothing lies, and the environment that reaches it."""
    s3 = request.param == "s3"
    server = request.getfixturevalue("s3" if s3 else "azure")
    for name, value in (server.environment if s3 else server).items():
        monkeypatch.setenv(name, value)
    return f"{request.param}://{BUCKET}/{uuid.uuid4().hex}"


@pytest.fixture
def store(url: str) -> ArtifactStore:
    return ArtifactStore(url)


@pytest.fixture
def stormy(stormy_url: str) -> ArtifactStore:
    return ArtifactStore(stormy_url)


def in_order(store: ArtifactStore, moment: datetime) -> list[str]:
    return sorted(itertools.chain(*store.older_than(moment)))


SOON = timedelta(seconds=5)


def test_what_is_written_is_there_for_everybody_at_once(store: ArtifactStore, url: str) -> None:
    """No listing that was read before hides it."""
    mine, other = store.below("me"), ArtifactStore(url).below("me")
    assert not mine.exists("stages/a/1.json")
    assert in_order(mine, datetime.now(UTC) + SOON) == []
    other.write("stages/a/1.json", b"one")
    assert mine.exists("stages/a/1.json")
    assert in_order(store, datetime.now(UTC) + SOON) == ["me/stages/a/1.json"]
    other.write("stages/a/1.json", b"two")
    assert mine.read("stages/a/1.json") == b"two"
    other.delete("stages/a/1.json")
    other.delete("stages/a/1.json")
    assert not mine.exists("stages/a/1.json")
    assert not mine.exists("stages/a")
    assert in_order(store, datetime.now(UTC) + SOON) == []


def test_a_large_recording_is_stored_and_sought_in(store: ArtifactStore) -> None:
    """It is of two parts, and larger than what is read ahead."""
    data = os.urandom(9 * MIB + 5)
    store.write_stream("uploads/1", io.BytesIO(data))
    assert store.read("uploads/1") == data
    with store.open("uploads/1") as stored:
        assert stored.read(44) == data[:44]
        stored.seek(3 * MIB)
        assert stored.read(5 * MIB) == data[3 * MIB : 8 * MIB]
        stored.seek(9 * MIB)
        assert stored.read(MIB) == data[9 * MIB :]


def test_an_empty_recording_is_stored(store: ArtifactStore) -> None:
    store.write_stream("uploads/1", io.BytesIO())
    assert store.read("uploads/1") == b""


class GoesAway(io.BytesIO):
    """A client that breaks off after ten megabytes."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() >= 10 * MIB:
            raise ConnectionResetError
        return super().read(size)


def test_of_an_upload_that_breaks_off_nothing_is_left(
    store: ArtifactStore, request: pytest.FixtureRequest
) -> None:
    with pytest.raises(ConnectionResetError):
        store.write_stream("uploads/1", GoesAway(bytes(11 * MIB)))
    assert not store.exists("uploads/1")
    if request.node.callspec.params["url"] == "s3":
        assert request.getfixturevalue("s3").unfinished() == []


def test_what_is_missing_is_a_missing_artifact(store: ArtifactStore) -> None:
    for look in (store.read, store.open):
        with pytest.raises(ArtifactMissing, match="nothing"):
            look("uploads/nothing")


def test_objects_are_as_old_as_the_store_says(store: ArtifactStore) -> None:
    keys = ["me/audio/1.wav", "me/uploads/1", "you/uploads/1"]
    before = datetime.now(UTC) - timedelta(seconds=2)
    for key in keys:
        store.write(key, b"x")
    assert in_order(store, before) == []
    assert in_order(store, datetime.now(UTC) + SOON) == keys


def test_a_forked_process_uses_what_its_parent_opened(store: ArtifactStore) -> None:
    """As servers do that load the application before they fork."""
    store.write("uploads/1", b"of the parent")
    child = os.fork()
    if child == 0:
        good = False
        try:
            good = store.read("uploads/1") == b"of the parent"
            store.write("uploads/2", b"of the child")
        finally:
            os._exit(0 if good else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert store.read("uploads/2") == b"of the child"


def test_many_write_the_same_object(store: ArtifactStore) -> None:
    """One of them may have to try again; what is there is whole."""
    data = os.urandom(9 * MIB)

    def write(number: int) -> bool:
        store.write("stages/1.json", data[:1000])
        try:
            store.write_stream("audio/1.wav", io.BytesIO(data))
        except StoreUnavailable:  # Azure, where another's upload ended first
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert any(pool.map(write, range(4)))
    assert store.read("audio/1.wav") == data
    assert store.read("stages/1.json") == data[:1000]


def everything(store: ArtifactStore) -> dict[str, Callable[[], object]]:
    """Return all that can be asked of a store."""
    return {
        "verify": store.verify,
        "exists": lambda: store.exists("uploads/1"),
        "read": lambda: store.read("uploads/1"),
        "open": lambda: store.open("uploads/1"),
        "write": lambda: store.write("uploads/1", b"x"),
        "stream": lambda: store.write_stream("uploads/1", io.BytesIO(b"x")),
        "delete": lambda: store.delete("uploads/1"),
        "list": lambda: in_order(store, datetime.now(UTC)),
    }


def test_without_its_bucket_everything_is_refused(url: str) -> None:
    """It is not taken for a missing object, and no bucket is made."""
    asked = everything(ArtifactStore(url.replace(BUCKET, "no-such-bucket")))
    if url.startswith("abfs"):  # where adlfs does not tell the two apart
        del asked["exists"], asked["open"], asked["list"]
    for name, ask in [*asked.items(), *asked.items()]:
        with pytest.raises(StoreRefused):
            pytest.fail(f"{name}: {ask()!r}")


def test_wrong_credentials_are_refused_and_not_logged(
    s3: S3, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    store = ArtifactStore(f"s3://{BUCKET}/{uuid.uuid4().hex}")
    with s3.strangers_are_refused():
        for name, ask in everything(store).items():
            with pytest.raises(StoreRefused):
                pytest.fail(f"{name}: {ask()!r}")
    assert "InvalidAccessKeyId" in caplog.records[-1].reasons or "403" in caplog.records[0].reasons
    logged = " ".join(str(vars(record)) for record in caplog.records)
    for secret in CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"]:
        assert secret not in logged


@pytest.mark.parametrize("day", ["slow down", "down"])
def test_a_store_that_is_away_never_says_no(
    stormy: ArtifactStore, weather: Weather, day: str
) -> None:
    """Neither that there is nothing, nor that something was removed."""
    stormy.write("uploads/1", b"x")
    weather.day = day
    for name, ask in everything(stormy).items():
        with pytest.raises(StoreUnavailable) as raised:
            pytest.fail(f"{name}: {ask()!r}")
        assert not isinstance(raised.value, StoreRefused)
    weather.day = "good"
    assert stormy.read("uploads/1") == b"x"


def test_a_store_that_nobody_answers_for_is_given_up_soon(
    weather: Weather, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in weather.environment.items():
        monkeypatch.setenv(name, value)
    weather.close()
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        ArtifactStore(f"s3://{BUCKET}/{uuid.uuid4().hex}").read("uploads/1")
    assert time.monotonic() - began < 8


def test_an_answer_is_waited_for_as_long_as_fsspec_is_configured_to(
    stormy: ArtifactStore, weather: Weather
) -> None:
    fsspec.config.conf["s3"]["config_kwargs"]["read_timeout"] = 0.2
    weather.day = "silent"
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        stormy.read("uploads/1")
    assert 0.4 < time.monotonic() - began < 8


def test_a_recording_that_cannot_be_read_to_its_end_is_no_shorter_one(
    stormy: ArtifactStore, weather: Weather
) -> None:
    stormy.write_stream("audio/1.wav", io.BytesIO(bytes(9 * MIB)))
    with stormy.open("audio/1.wav") as file:
        file.read(MIB)
        weather.day = "down"
        with pytest.raises(StoreUnavailable):
            file.read()


def test_of_an_upload_whose_second_part_fails_nothing_is_left(
    s3: S3, stormy: ArtifactStore, weather: Weather
) -> None:
    weather.day = "no parts"
    with pytest.raises(StoreUnavailable):
        stormy.write_stream("uploads/1", io.BytesIO(bytes(9 * MIB)))
    weather.day = "good"
    assert not stormy.exists("uploads/1")
    assert s3.unfinished() == []


class TestStart:
    def test_a_worker_without_its_bucket_says_so(
        self, url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("ARTIFACT_URL", url.replace(BUCKET, "no-such-bucket"))
        # For good: it is the log of this process.
        monkeypatch.setattr("workers.main.configure_logging", lambda level, service: None)
        assert main(["cpu"]) == 78
        assert "The artifact store refuses access." in capsys.readouterr().err

    def test_a_worker_waits_for_a_store_that_is_away(
        self, stormy: ArtifactStore, weather: Weather
    ) -> None:
        weather.day = "down"
        verify("cpu", Settings.load(artifact_url=stormy._url))
        assert weather.asked > 0

    def test_the_doctor_tries_it(self, url: str) -> None:
        found = doctor._artifacts(url, chosen=True)
        assert (found.state, found.detail.split()[-1]) == ("ok", "emptied")
        missing = doctor._artifacts(url.replace(BUCKET, "no-such-bucket"), chosen=True)
        assert missing.state == "missing"
        assert "refuses access" in missing.detail


class TestJanitor:
    """With lives of seconds: nobody can set the clock of an object store back."""

    LIFE = 3.0
    """More than the fraction of a second that S3 cuts off."""

    @pytest.fixture
    def janitor(self, engine: sa.Engine, store: ArtifactStore) -> Janitor:
        settings = RetentionSettings(audio_hours=self.LIFE / 3600)
        return Janitor(ErasureStore(engine), RetentionStore(engine), store, settings)

    def put(self, store: ArtifactStore, owner: str, *keys: str) -> None:
        for key in keys:
            store.below(folder_of(owner)).write(key, b"x")

    def left(self, store: ArtifactStore, owner: str) -> list[str]:
        return in_order(store.below(folder_of(owner)), datetime.now(UTC) + SOON)

    def test_what_is_old_and_not_needed_goes(self, engine, janitor, store) -> None:
        self.put(store, "me", "uploads/old", "uploads/needed", "audio/old.wav")
        self.put(store, "you", "uploads/needed")
        store.write("backups/uploads/old", b"somebody else's")
        JobStore(engine).submit(NewJob("upload", "uploads/needed", owner="me"))
        time.sleep(self.LIFE + 0.1)
        self.put(store, "me", "uploads/new")
        janitor.tidy()
        assert self.left(store, "me") == ["uploads/needed", "uploads/new"]
        assert self.left(store, "you") == []
        assert store.exists("backups/uploads/old")

    def test_what_was_erased_goes_and_another_owners_stays(self, engine, janitor, store) -> None:
        for owner in ("me", "you"):
            self.put(store, owner, "uploads/1")
        ErasureStore(engine).erase(
            JobStore(engine).submit(NewJob("upload", "uploads/1", owner="me")).id, "me"
        )
        janitor.erase()
        assert (self.left(store, "me"), self.left(store, "you")) == ([], ["uploads/1"])


def test_an_erasure_is_not_done_while_the_store_is_away(
    engine: sa.Engine, stormy: ArtifactStore, weather: Weather
) -> None:
    mine = stormy.below(folder_of("me"))
    mine.write("uploads/1", b"x")
    janitor = Janitor(ErasureStore(engine), RetentionStore(engine), stormy, RetentionSettings())
    job = JobStore(engine).submit(NewJob("upload", "uploads/1", owner="me"))
    ErasureStore(engine).erase(job.id, "me")
    weather.day = "down"
    janitor.erase()
    weather.day = "good"
    assert mine.exists("uploads/1")
    janitor.erase()
    assert not mine.exists("uploads/1")
