import json
import pickle
import sys
from pathlib import Path

import pytest

from ml.emotion.checkpoint import (
    CARRIED,
    CONFIG,
    ENCODER,
    HEADS,
    METRICS,
    TERMS,
    TOKENIZER,
    Checkpoint,
    digest,
    identity,
)
from ml.emotion.classifier import Classifier
from ml.errors import ModelUnavailable
from ml.taxonomy import SUB_EMOTIONS

VERIFIED = (ENCODER, HEADS, TOKENIZER, TERMS)


def rewrite(folder, **entries):
    config = json.loads((folder / CONFIG).read_text()) | entries
    (folder / CONFIG).write_text(json.dumps(config))


def test_the_carried_checkpoint_loads():
    checkpoint = Checkpoint.load()
    assert checkpoint.name
    assert checkpoint.version
    assert set(checkpoint.thresholds) == set(SUB_EMOTIONS)
    assert checkpoint.max_tokens == 128


def test_the_carried_checkpoint_is_small_and_complete():
    assert sum(path.stat().st_size for path in CARRIED.iterdir()) < 50_000_000
    assert {path.name for path in CARRIED.iterdir()} == {*VERIFIED, CONFIG, METRICS}
    figures = json.loads((CARRIED / METRICS).read_text())
    scores = figures["comments"]["int8"]["features"]
    assert scores["written"]["macro_f1"]["value"] >= 0.53
    assert scores["plain"]["macro_f1"]["value"] >= 0.51
    assert scores["written"]["calibration_error"]["value"] <= 0.04


def test_a_copy_elsewhere_loads(copied):
    assert Checkpoint.load(copied).version == Checkpoint.load().version


def test_another_checkpoint_has_another_identity(copied):
    assert identity(copied) == identity()
    rewrite(copied, version="9")
    assert identity(copied) != identity()


def test_a_missing_folder_is_named_without_its_path(tmp_path):
    with pytest.raises(ModelUnavailable, match="'nowhere'") as caught:
        Checkpoint.load(tmp_path / "nowhere")
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("name", [*VERIFIED, CONFIG])
def test_a_missing_file_is_named(copied, name):
    (copied / name).unlink()
    with pytest.raises(ModelUnavailable, match=f"lacks {name}") as caught:
        Checkpoint.load(copied)
    assert str(copied) not in str(caught.value)


@pytest.mark.parametrize("name", VERIFIED)
def test_a_truncated_file_is_named(copied, name):
    content = (copied / name).read_bytes()
    (copied / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelUnavailable, match=f"{name} is damaged"):
        Checkpoint.load(copied)


@pytest.mark.parametrize("name", VERIFIED)
def test_one_flipped_bit_is_noticed(copied, name):
    content = bytearray((copied / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copied / name).write_bytes(content)
    with pytest.raises(ModelUnavailable, match=name):
        Checkpoint.load(copied)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "null", '{"name": "x"}'])
def test_a_damaged_config_is_refused(copied, content):
    (copied / CONFIG).write_text(content)
    with pytest.raises(ModelUnavailable, match=CONFIG):
        Checkpoint.load(copied)


@pytest.mark.parametrize(
    "entries",
    [
        {"thresholds": {}},
        {"thresholds": None},
        {"temperatures": {"sub": 1.0, "base": "warm", "intensity": 1.0}},
        {"temperatures": {"sub": 0.0, "base": 1.0, "intensity": 1.0}},
        {"files": []},
        {"temperatures": {"sub": 1.0, "base": 1.0, "intensity": 1.0, "base_from_sub": -1.0}},
        {"max_tokens": "many"},
        {"backbone": "deberta"},
    ],
)
def test_unusable_entries_are_refused(copied, entries):
    rewrite(copied, **entries)
    with pytest.raises(ModelUnavailable):
        Checkpoint.load(copied)


def test_another_version_of_the_features_is_refused(copied):
    rewrite(copied, features_version="0.9")
    with pytest.raises(ModelUnavailable, match=r"0\.9"):
        Checkpoint.load(copied)


class Bomb:
    """Unpickling this would end the tests."""

    def __reduce__(self):
        return sys.exit, ("unpickled",)


@pytest.mark.parametrize("name", ["pytorch_model.bin", ENCODER, "extra"])
def test_a_pickle_is_refused_and_never_run(copied, name):
    (copied / name).write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ModelUnavailable, match=f"{name}, a pickle"):
        Checkpoint.load(copied)


@pytest.mark.parametrize("name", VERIFIED)
def test_rubbish_with_a_right_digest_is_refused(copied, name):
    (copied / name).write_bytes(b"rubbish")
    files = json.loads((copied / CONFIG).read_text())["files"]
    rewrite(copied, files=files | {name: digest(b"rubbish")})
    with pytest.raises(ModelUnavailable, match=Path(name).stem):
        Classifier(copied)
