from __future__ import annotations

import io
import itertools
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ml.artifacts import ArtifactMissing, ArtifactStore, artifact_key, digest


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(f"file://{tmp_path}/artifacts")


def test_what_was_written_is_read(store: ArtifactStore) -> None:
    store.write("stages/a/1.json", b"{}")
    assert store.exists("stages/a/1.json")
    assert store.read("stages/a/1.json") == b"{}"


def test_writing_again_replaces(store: ArtifactStore) -> None:
    store.write("k", b"one")
    store.write("k", b"two")
    assert store.read("k") == b"two"


def test_a_file_is_stored_and_can_be_sought_in(store: ArtifactStore, tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(bytes(range(256)) * 10_000)
    store.write_file("audio/f", path)
    with store.open("audio/f") as stored:
        stored.seek(256 * 5_000)
        assert stored.read(3) == b"\x00\x01\x02"


def test_deleting_twice_is_no_error(store: ArtifactStore) -> None:
    store.write("k", b"one")
    store.delete("k")
    store.delete("k")
    assert not store.exists("k")


def test_no_temporary_file_is_left(store: ArtifactStore, tmp_path: Path) -> None:
    store.write("a/b", b"x")
    assert [p.name for p in (tmp_path / "artifacts" / "a").iterdir()] == ["b"]


def test_a_copy_that_fails_leaves_nothing(store: ArtifactStore, tmp_path: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell():
                raise OSError("no space left")
            return super().read(4)

    with pytest.raises(OSError, match="no space left"):
        store._put("a/b", Broken(b"eight by"))
    assert list((tmp_path / "artifacts" / "a").iterdir()) == []


@pytest.mark.parametrize("size", [100, 3 << 20])
def test_a_full_disk_is_a_store_that_may_have_room_later(size: int, tmp_path: Path) -> None:
    program = f"""
import resource, signal
from ml.artifacts import ArtifactStore
from ml.errors import StoreUnavailable
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
try:
    ArtifactStore("file://{tmp_path}").write("stages/x.json", bytes({size}))
except StoreUnavailable:
    print("full")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "full\n"
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("key", ["../x", "/etc/passwd", "a/../../b"])
def test_a_key_cannot_leave_the_store(store: ArtifactStore, key: str) -> None:
    with pytest.raises(ValueError, match="artifact key"):
        store.read(key)


def test_a_missing_object_is_a_missing_artifact(store: ArtifactStore, tmp_path: Path) -> None:
    for look in (store.read, store.open, lambda key: store.read_file(key, tmp_path / "copy")):
        with pytest.raises(ArtifactMissing, match="nothing"):
            look("nothing")
    assert not (tmp_path / "copy").exists()


def test_parts_of_a_store_do_not_see_each_other(store: ArtifactStore) -> None:
    mine, yours = store.below("me"), store.below("you")
    mine.write("k", b"mine")
    assert not yours.exists("k")
    assert store.read("me/k") == b"mine"


def test_what_a_write_may_leave_is_announced_before(store: ArtifactStore, tmp_path: Path) -> None:
    announced: list[str] = []

    def announce(keys: Sequence[str]) -> None:
        announced.extend(keys)
        assert not any(store.exists(key) for key in keys)

    class Killed(io.BytesIO):
        """Ends its process, as far as the store can tell."""

        def read(self, size: int | None = -1) -> bytes:
            found = {str(p.relative_to(tmp_path / "artifacts")) for p in files(tmp_path)}
            assert found == {announced[1]}
            raise OSError

    watched = store.announcing(announce)
    with pytest.raises(OSError):
        watched.write_stream("a/k", Killed())
    assert announced[0] == "a/k"
    watched.write("a/other", b"x")
    assert announced[2] == "a/other"


def test_what_may_not_be_announced_is_not_written(store: ArtifactStore, tmp_path: Path) -> None:
    def announce(keys: Sequence[str]) -> None:
        raise PermissionError

    with pytest.raises(PermissionError):
        store.announcing(announce).write("a/k", b"x")
    assert files(tmp_path) == []


@pytest.mark.parametrize("scheme", ["file", "memory"])
def test_old_objects_are_told_from_new_ones(scheme: str, tmp_path: Path) -> None:
    store = ArtifactStore(f"{scheme}://{tmp_path}/artifacts")
    before = datetime.now(UTC) - timedelta(seconds=1)
    keys = ["top", "me/uploads/1", "me/stages/fetch/2.json", "you/uploads/1"]
    for key in keys:
        store.write(key, b"x")
    after = datetime.now(UTC) + timedelta(seconds=1)
    assert sorted(itertools.chain(*store.older_than(after))) == sorted(keys)
    assert list(itertools.chain(*store.older_than(before))) == []


def test_an_empty_store_has_no_old_objects(store: ArtifactStore) -> None:
    assert list(itertools.chain(*store.older_than(datetime.now(UTC)))) == []


@pytest.mark.parametrize(
    "told",
    [
        {"mtime": 1767225600.0, "created": 1},
        {"LastModified": datetime(2026, 1, 1, tzinfo=UTC)},
        {"last_modified": datetime(2026, 1, 1, tzinfo=UTC), "LastModified": None},
        {"created": datetime(2026, 1, 1)},
    ],
    ids=["local", "s3", "azure", "without a zone"],
)
def test_every_file_system_tells_the_age_in_its_own_words(
    store: ArtifactStore, told: dict[str, object]
) -> None:
    assert store._modified({"name": "x", **told}) == datetime(2026, 1, 1, tzinfo=UTC)


def files(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


def test_the_key_changes_with_everything_the_output_depends_on() -> None:
    same = artifact_key("s", "1", {"a": 1, "b": 2}, ["x"], 0)
    assert same == artifact_key("s", "1", {"b": 2, "a": 1}, ["x"], 0)
    others = {
        artifact_key("t", "1", {"a": 1, "b": 2}, ["x"], 0),
        artifact_key("s", "2", {"a": 1, "b": 2}, ["x"], 0),
        artifact_key("s", "1", {"a": 1, "b": 3}, ["x"], 0),
        artifact_key("s", "1", {"a": 1, "b": 2}, ["y"], 0),
        artifact_key("s", "1", {"a": 1, "b": 2}, ["x"], 1),
    }
    assert same not in others
    assert len(others) == 5


def test_a_digest_tells_the_bounds_of_its_parts() -> None:
    assert digest("ab", "c") != digest("a", "bc")
