"""Real speech through the real model (tiny.en)."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from media import encode, tone

from ml.errors import Cancelled, ModelUnavailable, SpeechTimeout
from ml.options import PipelineOptions, TranscriptionOptions
from ml.speech.engines.choice import warm
from ml.speech.engines.whisper import load
from ml.speech.transcribe import transcribe
from ml.stage import Context, Recording, Span, Transcript

Recorded = Callable[[Path], tuple[Context, Recording]]

JFK = (
    "and so my fellow americans ask not what your country can do for you "
    "ask what you can do for your country"
)


def plain(transcript: Transcript) -> str:
    return re.sub(r"[^a-z ]", "", " ".join(word.text for word in transcript.words).lower())


def check_times(transcript: Transcript, start: float, end: float) -> None:
    for word in transcript.words:
        assert start <= word.start <= word.end <= end
        assert 0 < word.probability <= 1
        assert word.text == word.text.strip() != ""


def test_jfk_is_understood(recorded: Recorded, jfk: Path) -> None:
    context, recording = recorded(jfk)
    transcript = transcribe(context, recording, 0)
    assert plain(transcript) == JFK
    assert transcript.language == "en"
    assert transcript.language_probability is not None
    assert transcript.language_probability > 0.8
    assert transcript.model.startswith("tiny.en faster-whisper-")
    check_times(transcript, 0.0, 11.0)
    assert [word.start for word in transcript.words] == sorted(w.start for w in transcript.words)
    country = transcript.words[-1]
    assert 9.5 < country.start < country.end < 11.0


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("LJ001-0001.wav", {"printing", "sense", "differs", "crafts", "represented", "exhibition"}),
        ("LJ001-0002.wav", {"being", "comparatively", "modern"}),
    ],
)
def test_a_reader_is_understood(recorded: Recorded, jfk: Path, name: str, words: set[str]) -> None:
    context, recording = recorded(jfk.with_name(name))
    assert words <= set(plain(transcribe(context, recording, 0)).split())


def test_a_part_is_heard_alone_and_timed_from_the_beginning(recorded: Recorded, jfk: Path) -> None:
    context, recording = recorded(jfk)
    halves = replace(recording, parts=(Span(0.0, 7.8), Span(7.8, 11.0)))
    second = transcribe(context, halves, 1)
    assert plain(second) == "ask what you can do for your country"
    check_times(second, 7.8, 11.0)


SILENT = {
    "silence": np.zeros(20 * 16_000, np.float32),
    "tone": tone(20.0, 16_000),
    "noise": np.random.default_rng(1).normal(0, 0.1, 20 * 16_000).astype(np.float32),
    "clicks": np.where(np.arange(20 * 16_000) % 4_000 < 20, 0.8, 0.0).astype(np.float32),
    "chords": sum(
        tone(20.0, 16_000, f) * (np.sin(np.arange(20 * 16_000) / (3_000 + f)) > 0)
        for f in (220.0, 277.2, 329.6, 440.0)
    ).astype(np.float32)
    / 2,
}


@pytest.mark.parametrize("name", SILENT)
def test_where_nobody_speaks_no_words_are_invented(
    recorded: Recorded, tmp_path: Path, name: str
) -> None:
    context, recording = recorded(encode(tmp_path / "sound.flac", SILENT[name], 16_000))
    assert transcribe(context, recording, 0).words == ()


def test_cancelling_does_not_wait_for_the_model(
    recorded: Recorded, jfk: Path, cancel_after: Callable[[float], Callable[[], None]]
) -> None:
    context, recording = recorded(jfk)
    warm(TranscriptionOptions())
    context.check = cancel_after(0.3)
    began = time.monotonic()
    with pytest.raises(Cancelled):
        transcribe(context, replace(recording, parts=(Span(0.0, 11.0),)), 0)
    assert time.monotonic() - began < 2.0


def test_a_process_that_cancelled_ends_in_peace(jfk: Path) -> None:
    code = (
        "import sys, time; from ml.pipeline import Runner; from ml.stage import Input\n"
        "from ml.speech.engines.choice import warm; from ml.errors import Cancelled\n"
        "from ml.options import TranscriptionOptions\n"
        "warm(TranscriptionOptions()); deadline = time.monotonic() + 0.3\n"
        "def check():\n    if time.monotonic() > deadline: raise Cancelled()\n"
        "try: Runner(check=check).run(Input('file', sys.argv[1]))\n"
        "except Cancelled: print('cancelled')\n"
    )
    command = [sys.executable, "-c", code, str(jfk)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "cancelled\n", "")


def test_the_time_limit(recorded: Recorded, jfk: Path) -> None:
    context, recording = recorded(jfk)
    context.options = PipelineOptions(transcription=TranscriptionOptions(timeout=0.05))
    with pytest.raises(SpeechTimeout):
        transcribe(context, recording, 0)


def test_progress_tells_seconds_of_audio(recorded: Recorded, jfk: Path) -> None:
    context, recording = recorded(jfk)
    seen: list[str] = []
    context.progress = lambda fraction, detail: seen.append(detail)
    transcribe(context, recording, 0)
    assert seen[0].endswith("of 11 s")


def test_the_model_is_loaded_once() -> None:
    assert load("tiny.en", 0) is load("tiny.en", 0)


def test_threads_that_ask_at_once_get_one_model(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []

    def slow(*arguments: object) -> object:
        time.sleep(0.1)
        made.append(object())
        return made[-1]

    monkeypatch.setattr("ml.speech.engines.whisper.Whisper", slow)
    with ThreadPoolExecutor(4) as pool:
        given = list(pool.map(lambda _: load("tiny.en", 99), range(4)))
    assert given == made * 4


def test_a_model_that_is_missing_is_said_to_be(recorded: Recorded, jfk: Path) -> None:
    context, recording = recorded(jfk)
    context.options = PipelineOptions(transcription=TranscriptionOptions(model="no-such-size"))
    with pytest.raises(ModelUnavailable, match="no-such-size"):
        transcribe(context, recording, 0)
