from __future__ import annotations

from pathlib import Path

import pytest

from ml.errors import ModelUnavailable
from ml.speech.engines.weights import Weights, identity, installed, resolve
from ml.speech.engines.whisper import Whisper

FROM_HUB = "ml.speech.engines.weights._from_hub"


def test_packaged_weights_are_found() -> None:
    assert (resolve("tiny.en").directory / "model.bin").is_file()


def test_weights_in_parts_are_put_together() -> None:
    weights = resolve("base")
    assert len(weights.model) == 2
    files = weights.files()
    assert files is not None
    assert len(files["model.bin"]) == sum(part.stat().st_size for part in weights.model)
    assert {"tokenizer.json", "vocabulary.json", "config.json"} <= set(files)
    assert Whisper(weights, 1).multilingual


def test_a_directory_is_taken_as_it_is() -> None:
    directory = resolve("tiny.en").directory
    assert resolve(str(directory)).directory == directory


def test_a_directory_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"model\.bin"):
        resolve(str(tmp_path))


def test_weights_have_an_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert identity("tiny.en") == identity("tiny.en")
    monkeypatch.setattr(FROM_HUB, lambda model: Weights(model, (tmp_path,)))
    with pytest.raises(ModelUnavailable, match=r"model\.bin"):
        identity("someone/something-else")


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    for file in resolve("tiny.en").directory.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes()[:1000])
    with pytest.raises(ModelUnavailable, match="damaged"):
        Whisper(Weights("damaged", (tmp_path,)), 1)


@pytest.mark.parametrize("model", ["medium", "no-such-size", "nobody/nothing"])
def test_what_is_not_here_is_not_fetched_to_be_looked_at(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(FROM_HUB, lambda model: pytest.fail("asked the Hub"))
    assert installed(model) is None


def test_a_name_nobody_knows_says_what_to_do() -> None:
    with pytest.raises(ModelUnavailable, match="no-such-size") as caught:
        resolve("no-such-size")
    assert "tiny.en" in str(caught.value)


def test_the_hub_out_of_reach_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelUnavailable, match="medium"):
        resolve("medium")
