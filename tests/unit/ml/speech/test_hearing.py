"""What was not understood is heard again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import SequenceMatcher
from itertools import pairwise

import numpy as np

from ml.results import Word
from ml.source.wav import SAMPLE_RATE
from ml.speech.activity import FRAME_SECONDS, speech_probabilities
from ml.speech.engines.whisper import Whisper, load
from ml.speech.hearing import Listener, merged, unheard


def spoken(*stretches: tuple[float, float], seconds: float = 20.0) -> np.ndarray:
    speech = np.zeros(round(seconds / FRAME_SECONDS), np.float32)
    for start, end in stretches:
        speech[round(start / FRAME_SECONDS) : round(end / FRAME_SECONDS)] = 0.95
    return speech


def words(*times: tuple[float, float]) -> list[Word]:
    return [Word(f"w{number}", start, end, 0.9) for number, (start, end) in enumerate(times)]


def test_speech_without_words_is_found() -> None:
    (missed,) = unheard(words((1.0, 2.0), (2.0, 3.0)), spoken((1.0, 8.0)))
    assert 3.0 <= missed.start <= 3.5
    assert 7.9 <= missed.end <= 8.4


def test_what_was_heard_is_not_heard_again() -> None:
    said = words(*((n * 0.5, n * 0.5 + 0.45) for n in range(2, 16)))
    assert unheard(said, spoken((1.0, 8.0))) == []


def test_a_breath_is_not_worth_it() -> None:
    assert unheard(words((1.0, 2.0)), spoken((1.0, 2.9))) == []


def test_a_word_that_swallowed_its_neighbours_does_not_count_as_heard() -> None:
    (missed,) = unheard(words((1.0, 7.0)), spoken((1.0, 7.0)))
    assert 1.7 < missed.start < missed.end < 6.3


def test_a_word_heard_from_both_sides_of_a_cut_is_kept_once() -> None:
    first, again = [Word("Hello", 1.0, 1.4, 0.9)], [Word("hello,", 1.5, 1.8, 0.8)]
    assert merged(first, again) == first
    later = [Word("hello", 3.0, 3.4, 0.8)]
    assert merged(first, later) == first + later


class Forgetful:
    """The real engine, which loses what a window holds after its first two words, at first."""

    def __init__(self, engine: Whisper) -> None:
        self._engine = engine
        self.calls: list[int] = []

    def words(self, windows: Sequence[np.ndarray], **options: Callable[[int], None]):
        self.calls.append(len(windows))
        heard = self._engine.words(windows, **options)
        return [said[:2] for said in heard] if len(self.calls) == 1 else heard


def test_what_was_said_twice_stays_twice() -> None:
    said = [Word("no", n, n + 0.2, 0.9) for n in (1.0, 1.25, 1.5)]
    assert merged(said, [Word("later", 5.0, 5.5, 0.9)])[:3] == said


def bare(words: Sequence[Word]) -> list[str]:
    return [word.text.strip(",.").lower() for word in words]


def test_a_lost_rest_is_recovered(samples) -> None:
    audio = samples("LJ001-0001.wav")
    speech = speech_probabilities(audio)
    whole = Listener(load("tiny.en", 0), "en", 5, 16).hear(audio, speech)
    engine = Forgetful(load("tiny.en", 0))
    again = Listener(engine, "en", 5, 16).hear(audio, speech)
    assert len(engine.calls) == 2
    alike = SequenceMatcher(None, bare(whole), bare(again), autojunk=False).ratio()
    assert alike > 0.85
    assert all(a.start <= b.start for a, b in pairwise(again))


def test_silence_is_not_heard_at_all() -> None:
    silence = np.zeros(5 * SAMPLE_RATE, np.float32)
    assert (
        Listener(load("tiny.en", 0), "en", 5, 16).hear(silence, speech_probabilities(silence)) == []
    )
