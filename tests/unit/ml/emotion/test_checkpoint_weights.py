"""Where a checkpoint is found, the Hub with a server of our own in its place.

The Hub's client reads its settings when it is imported, so it runs in processes of its own.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from hub import COMMIT, NAME, serve

from ml.emotion.checkpoint import CARRIED, CONFIG, FILES, identity
from ml.emotion.weights import config_of, installed, resolve
from ml.errors import ModelUnavailable

DEAD = "http://127.0.0.1:9"


def ask(code: str, endpoint: str, cache: Path) -> str:
    """Run ``code`` with that Hub and that cache; return what it prints, or its error's name."""
    environment = os.environ | {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(cache),
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "NO_PROXY": "127.0.0.1",
    }
    program = (
        "from ml.errors import EmotionClfError\n"
        "from ml.emotion.weights import config_of, installed, resolve\n"
        f"try: print({code})\n"
        "except EmotionClfError as error: print(error.code, error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with the files of a checkpoint, and beside them what is none of ours."""
    folder = tmp_path / "repository"
    folder.mkdir()
    for name in FILES:
        (folder / name).write_text(f'{{"content": "{name}"}}')
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(["anything"]))
    (folder / "README.md").write_text("# Feelings")
    return folder


def test_default_is_the_carried_checkpoint() -> None:
    assert resolve("default") == installed("default") == CARRIED


def test_a_directory_is_taken_as_it_is(copied: Path) -> None:
    assert resolve(str(copied)) == copied


@pytest.mark.parametrize("model", ["nowhere", "/nowhere/at/all", "a/b/c", "org/", "org/x@"])
def test_what_is_neither_directory_nor_name_is_refused(model: str) -> None:
    with pytest.raises(ModelUnavailable, match="neither a directory"):
        installed(model)


@pytest.mark.parametrize("model", [NAME, f"{NAME}@v2", f"{NAME}@{COMMIT}"])
def test_a_checkpoint_comes_from_the_hub_once(model: str, repository: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with serve(repository) as (hub, asked):
        assert ask(f"installed({model!r})", hub, cache) == "None"
        assert asked == []
        folder = Path(ask(f"resolve({model!r})", hub, cache))
        assert {path.name for path in folder.iterdir()} == set(FILES)
        assert identity(folder) == identity(repository)
        assert not any("pytorch_model.bin" in path for path in asked)
        asked.clear()
        assert ask(f"resolve({model!r})", hub, cache) == str(folder)
        assert asked == []
    assert ask(f"installed({model!r})", DEAD, cache) == str(folder)


def test_the_identity_needs_the_config_alone(repository: Path, tmp_path: Path) -> None:
    with serve(repository) as (hub, asked):
        config = Path(ask(f"config_of({NAME!r})", hub, tmp_path / "cache"))
        assert config.read_bytes() == (repository / CONFIG).read_bytes()
        assert {path.rpartition("/")[2] for path in asked if "resolve" in path} == {CONFIG}
        folder = Path(ask(f"resolve({NAME!r})", hub, tmp_path / "cache"))
    assert {path.name for path in folder.iterdir()} == set(FILES)


def test_what_the_hub_does_not_know_says_what_to_do(repository: Path, tmp_path: Path) -> None:
    with serve(repository) as (hub, _):
        for model in ("nobody/nothing", f"{NAME}@v9"):
            said = ask(f"resolve({model!r})", hub, tmp_path / "cache")
            assert said.startswith("model.unavailable")
            assert model in said
            assert "'default'" in said


def test_the_hub_out_of_reach_says_what_to_do(tmp_path: Path) -> None:
    said = ask(f"resolve({NAME!r})", DEAD, tmp_path / "cache")
    assert said.startswith("model.unavailable")
    assert "network" in said


def test_a_repository_of_something_else_is_named(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / CONFIG).write_text("{}")
    with serve(other) as (hub, _):
        said = ask(f"resolve({NAME!r})", hub, tmp_path / "cache")
    assert said.startswith("model.unavailable")
    assert "encoder.onnx" in said


def test_the_config_of_a_directory_is_in_it(copied: Path) -> None:
    assert config_of(str(copied)) == copied / CONFIG
