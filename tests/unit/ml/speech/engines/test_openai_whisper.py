"""Real speech through openai-whisper with the real tiny.en (extra `openai-whisper`)."""

from __future__ import annotations

import hashlib
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faster_whisper import WhisperModel, decode_audio
from media import Answer, MediaServer
from openai_weights import write_safetensors

from ml.errors import Cancelled, ExtraMissing, ModelUnavailable
from ml.results import Word
from ml.speech.engines.engine import Engine
from ml.speech.engines.openai_whisper import OpenAIWhisper, at_hand, identity, load
from ml.speech.engines.weights import installed, resolve
from ml.stage import Passage

INSTALLED = all(find_spec(package) for package in ("torch", "whisper", "safetensors"))
needs_it = pytest.mark.skipif(not INSTALLED, reason="torch or openai-whisper is not installed")
DATA = Path(__file__).parents[4] / "data"
LAST_CLAUSE = 125_000
"""The sample of jfk.flac at which the last clause begins."""
CLIPS = ("jfk.flac", "LJ001-0001.wav", "LJ001-0002.wav")


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("weights") / "tiny.en.safetensors"
    return write_safetensors(resolve("tiny.en"), target)


@pytest.fixture(scope="session")
def engine(weights: Path) -> OpenAIWhisper:
    return OpenAIWhisper(str(weights), 0)


@pytest.fixture(scope="session")
def faster() -> WhisperModel:
    """The same weights in the same precision: int8 would change words of its own."""
    return WhisperModel(str(resolve("tiny.en").directory), device="cpu", compute_type="float32")


@cache
def samples(clip: str) -> np.ndarray:
    return decode_audio(str(DATA / clip))


def words(engine: Engine, *windows: np.ndarray) -> list[list[Word]]:
    return engine.words(
        windows, language="en", beam_size=5, batch_size=16, advance=lambda done: None
    )


def translate(engine: Engine, *windows: np.ndarray, language: str) -> list[list[Passage]]:
    done: list[int] = []
    said = engine.translate(
        windows, language=language, beam_size=5, batch_size=16, advance=done.append
    )
    assert done == list(range(1, len(windows) + 1))
    return said


def write_checkpoint(target: Path, engine: OpenAIWhisper) -> Path:
    """Write a loaded model as openai-whisper publishes them."""
    import torch

    model = engine._model
    torch.save({"dims": asdict(model.dims), "model_state_dict": model.state_dict()}, target)
    return target


@pytest.mark.skipif(INSTALLED, reason="openai-whisper is installed")
def test_what_to_install_is_said_where_it_is_missing() -> None:
    with pytest.raises(ExtraMissing, match=r"pip install 'emotion-clf\[openai-whisper\]'"):
        load("tiny.en", 0)
    with pytest.raises(ExtraMissing):
        identity("tiny.en")


@needs_it
@pytest.mark.parametrize("clip", CLIPS)
def test_the_converted_encoder_hears_what_the_original_hears(
    engine: OpenAIWhisper, faster: WhisperModel, clip: str
) -> None:
    import torch
    import whisper
    from ctranslate2 import StorageView

    mel = whisper.log_mel_spectrogram(whisper.pad_or_trim(samples(clip)))[None]
    with torch.no_grad():
        ours = engine._model.encoder(mel)[0].numpy()
    original = faster.model.encode(StorageView.from_array(mel.numpy()), to_cpu=True)
    theirs = np.asarray(original)[0]
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    assert ((ours * theirs).sum(axis=1) / lengths).min() > 0.9999


@needs_it
@pytest.mark.parametrize("clip", CLIPS)
def test_both_engines_hear_the_same_words_at_the_same_times(
    engine: OpenAIWhisper, faster: WhisperModel, clip: str
) -> None:
    (heard,) = words(engine, samples(clip))
    segments, _ = faster.transcribe(
        samples(clip), word_timestamps=True, condition_on_previous_text=False
    )
    expected = [word for segment in segments for word in segment.words]
    assert [word.text for word in heard] == [word.word.strip() for word in expected]
    for word, other in zip(heard, expected, strict=True):
        assert word.start == pytest.approx(other.start, abs=0.05)
        assert word.end == pytest.approx(other.end, abs=0.05)
        assert word.probability == pytest.approx(other.probability, abs=0.05)


@needs_it
def test_each_window_is_timed_from_its_own_start(engine: OpenAIWhisper) -> None:
    done: list[int] = []
    windows = [samples("LJ001-0002.wav"), np.zeros(16_000, np.float32), samples("LJ001-0002.wav")]
    first, silent, last = engine.words(
        windows, language="en", beam_size=5, batch_size=2, advance=done.append
    )
    assert first == last
    assert [word.text for word in first] == ["in", "being", "comparatively", "modern."]
    assert silent == []
    assert done == [1, 2, 3]
    for word in first:
        assert type(word.start) is type(word.end) is type(word.probability) is float


@needs_it
def test_what_advance_raises_ends_the_work(engine: OpenAIWhisper) -> None:
    done: list[int] = []

    def advance(count: int) -> None:
        done.append(count)
        raise Cancelled()

    with pytest.raises(Cancelled):
        engine.words(
            [samples("LJ001-0002.wav")] * 3,
            language="en",
            beam_size=1,
            batch_size=16,
            advance=advance,
        )
    assert done == [1]


@needs_it
def test_threads_that_ask_at_once_do_not_spoil_each_other(engine: OpenAIWhisper) -> None:
    clips = [samples("LJ001-0002.wav"), samples("jfk.flac")[LAST_CLAUSE:]]
    alone = [words(engine, clip) for clip in clips]
    with ThreadPoolExecutor(len(clips)) as pool:
        assert list(pool.map(lambda clip: words(engine, clip), clips)) == alone


@needs_it
def test_what_is_drawn_by_chance_is_drawn_again(
    engine: OpenAIWhisper, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    # Too noisy for the surest words, so that others are drawn, which are seldom believed.
    monkeypatch.setattr("ml.speech.engines.openai_whisper.plausible", lambda *_: True)
    noise = np.random.default_rng(3).normal(0, 0.026, 48_000)
    hard = (samples("jfk.flac")[8_000:56_000] * 0.1 + noise).astype(np.float32)
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    (first,) = words(engine, hard)
    assert torch.equal(before, torch.random.get_rng_state())
    torch.manual_seed(2)
    assert words(engine, hard) == [first]
    assert first


@needs_it
def test_an_english_model_says_english(engine: OpenAIWhisper) -> None:
    assert not engine.multilingual
    assert engine.languages([samples("jfk.flac")]) == {"en": 1.0}
    assert engine.name.startswith("tiny.en openai-whisper-2")


@needs_it
@pytest.mark.skipif(installed("base") is None, reason="Whisper base is not installed")
def test_a_model_for_many_languages_tells_them_apart_and_translates(tmp_path: Path) -> None:
    base = write_safetensors(resolve("base"), tmp_path / "base.safetensors")
    engine = OpenAIWhisper(str(base), 0)
    assert engine.multilingual
    clip = samples("jfk.flac")[LAST_CLAUSE:]
    alone = engine.languages([clip])
    both = engine.languages([clip, np.zeros(16_000, np.float32)])
    assert max(alone, key=alone.__getitem__) == "en"
    assert sum(alone.values()) == pytest.approx(1.0, abs=1e-3)
    assert alone["en"] > both["en"] > alone["en"] / 2
    # English that is taken for German: a translation into English says it again.
    (said,) = translate(engine, clip, language="de")
    assert "what you can do for your country" in " ".join(passage.text for passage in said)
    times = [time for passage in said for time in (passage.start, passage.end)]
    assert times == sorted(times)
    assert times[0] < 1.0
    assert 2.0 < times[-1] <= len(clip) / 16_000


@needs_it
def test_each_window_is_translated_on_its_own(engine: OpenAIWhisper) -> None:
    clip = samples("LJ001-0002.wav")
    said, silent = translate(engine, clip, np.zeros(16_000, np.float32), language="en")
    (passage,) = said
    assert passage.text == "in being comparatively modern."
    assert 0 <= passage.start < passage.end <= len(clip) / 16_000
    assert silent == []


@needs_it
def test_a_model_is_loaded_once(weights: Path) -> None:
    assert load(str(weights), 0) is load(str(weights), 0)


@needs_it
def test_a_checkpoint_file_gives_the_same_words(engine: OpenAIWhisper, tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "mine.pt", engine)
    (heard,) = words(OpenAIWhisper(str(checkpoint), 0), samples("LJ001-0002.wav"))
    assert [word.text for word in heard] == ["in", "being", "comparatively", "modern."]


@needs_it
def test_a_size_is_downloaded_once_and_checked(
    engine: OpenAIWhisper,
    tmp_path: Path,
    media_server: MediaServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import whisper

    body = write_checkpoint(tmp_path / "tiny.en.pt", engine).read_bytes()
    path = f"/{hashlib.sha256(body).hexdigest()}/tiny.en.pt"
    url = media_server.put(path, Answer(body, kind="application/octet-stream"))
    monkeypatch.setitem(whisper._MODELS, "tiny.en", url)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert not at_hand("tiny.en")
    assert OpenAIWhisper("tiny.en", 0).name.startswith("tiny.en openai-whisper-")
    assert at_hand("tiny.en")
    media_server.put(path, Answer(b"\0" * 1000, kind="application/octet-stream"))
    assert words(OpenAIWhisper("tiny.en", 0), samples("LJ001-0002.wav")) == words(
        engine, samples("LJ001-0002.wav")
    )
    (tmp_path / ".cache" / "whisper" / "tiny.en.pt").write_bytes(b"something else")
    with (
        pytest.warns(UserWarning, match="checksum does not match"),
        pytest.raises(ModelUnavailable, match=r"tiny\.en"),
    ):
        OpenAIWhisper("tiny.en", 0)


class Evil:
    """Its pickle creates a file when it is loaded."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


@needs_it
def test_nothing_in_a_checkpoint_is_run(tmp_path: Path) -> None:
    import torch

    touched = tmp_path / "touched"
    pickle.loads(pickle.dumps(Evil(touched)))
    assert touched.exists()  # so it would, were it run
    touched.unlink()
    torch.save({"dims": Evil(touched), "model_state_dict": {}}, tmp_path / "evil.pt")
    with pytest.raises(ModelUnavailable, match="evil"):
        OpenAIWhisper(str(tmp_path / "evil.pt"), 0)
    assert not touched.exists()


@needs_it
@pytest.mark.parametrize("name", ["no-such-size", "/nowhere/tiny.en.pt", "/nowhere/a.safetensors"])
def test_weights_that_are_missing_are_said_to_be(name: str) -> None:
    with pytest.raises(ModelUnavailable, match=r"no-such-size|tiny\.en|a\.safetensors"):
        OpenAIWhisper(name, 0)


@needs_it
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b"not a model", "half"])
def test_weights_that_are_damaged_are_said_to_be(
    weights: Path, engine: OpenAIWhisper, tmp_path: Path, suffix: str, content: bytes | str
) -> None:
    damaged = tmp_path / f"damaged{suffix}"
    if content == "half":
        whole = weights if suffix == ".safetensors" else write_checkpoint(damaged, engine)
        content = whole.read_bytes()[: whole.stat().st_size // 2]
    damaged.write_bytes(content)
    with pytest.raises(ModelUnavailable, match="damaged"):
        OpenAIWhisper(str(damaged), 0)


@needs_it
def test_tensors_of_another_model_are_refused(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    other = tmp_path / "other.safetensors"
    save_file({"a": np.zeros(3, np.float32)}, other)
    with pytest.raises(ModelUnavailable, match="damaged"):
        OpenAIWhisper(str(other), 0)


@needs_it
def test_other_weights_have_another_identity(weights: Path, tmp_path: Path) -> None:
    other = tmp_path / weights.name
    other.write_bytes(weights.read_bytes()[:-4])
    assert identity(str(weights)) == identity(str(weights))
    assert identity(str(weights)) != identity(str(other))
    assert identity("tiny.en") != identity("base.en")
