from __future__ import annotations

import io
from pathlib import Path

import pytest

from ml.artifacts import ArtifactStore, artifact_key, digest


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


@pytest.mark.parametrize("key", ["../x", "/etc/passwd", "a/../../b"])
def test_a_key_cannot_leave_the_store(store: ArtifactStore, key: str) -> None:
    with pytest.raises(ValueError, match="artifact key"):
        store.read(key)


def test_a_missing_object_is_a_missing_file(store: ArtifactStore) -> None:
    with pytest.raises(FileNotFoundError):
        store.read("nothing")


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
