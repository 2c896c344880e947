"""Who said what: two public-domain voices that take turns, and properties of attribution."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.errors import Cancelled
from ml.options import DiarizationOptions
from ml.results import Word
from ml.speech.activity import speech_probabilities, speech_regions
from ml.speech.speakers.turns import Turn, attribute, name_of, speaker_of, turns
from ml.speech.speakers.voices import voices
from ml.stage import Voice

Samples = Callable[[str], np.ndarray]
PAUSE = np.zeros(8_000, np.float32)


def heard(audio: np.ndarray, offset: float = 0.0) -> list[Voice]:
    speech = speech_regions(speech_probabilities(audio))
    return voices(audio, speech, offset=offset, check=lambda: None)


def diarized(audio: np.ndarray, **options: int) -> list[Turn]:
    return turns(heard(audio), DiarizationOptions(enabled=True, **options))


def test_two_people_are_told_apart_when_they_take_turns(samples: Samples) -> None:
    president, reader = samples("jfk.flac"), samples("LJ001-0001.wav")
    order = [("A", president), ("B", reader), ("A", president[: 5 * 16_000])]
    order += [("B", samples("LJ001-0002.wav")), ("A", president[-4 * 16_000 :])]
    found = diarized(np.concatenate([part for _, clip in order for part in (clip, PAUSE)]))
    begin = 0.0
    for speaker, clip in order:
        end = begin + len(clip) / 16_000
        times = np.arange(begin + 0.5, end - 0.5, 0.1)
        right = [speaker_of(time, time + 0.1, found) == speaker for time in times]
        assert np.mean(right) > 0.95
        begin = end + 0.5


@pytest.mark.parametrize("name", ["jfk.flac", "LJ001-0001.wav", "LJ001-0002.wav"])
def test_one_voice_alone_is_one_speaker(samples: Samples, name: str) -> None:
    assert {turn.speaker for turn in diarized(samples(name))} == {"A"}


def test_no_more_speakers_than_asked_for(samples: Samples) -> None:
    both = np.concatenate([samples("jfk.flac"), PAUSE, samples("LJ001-0001.wav")])
    assert {turn.speaker for turn in diarized(both)} == {"A", "B"}
    assert {turn.speaker for turn in diarized(both, speakers=1)} == {"A"}
    assert {turn.speaker for turn in diarized(both, max_speakers=1)} == {"A"}


def test_a_speaker_keeps_the_name_in_the_next_part(samples: Samples) -> None:
    both = np.concatenate([samples("jfk.flac"), PAUSE, samples("LJ001-0001.wav")])
    first = heard(both)
    second = heard(samples("LJ001-0002.wav"), offset=100.0)
    found = turns(first + second, DiarizationOptions(enabled=True))
    assert (found[0].speaker, speaker_of(100.0, 102.0, found)) == ("A", "B")


def test_turns_are_in_order_and_do_not_overlap(samples: Samples) -> None:
    found = diarized(np.concatenate([samples("jfk.flac"), samples("LJ001-0001.wav")]))
    assert all(turn.start < turn.end for turn in found)
    assert all(this.end <= after.start for this, after in pairwise(found))


def test_where_nobody_speaks_there_are_no_turns() -> None:
    assert turns([], DiarizationOptions(enabled=True)) == []


def test_cancelling_ends_the_work(samples: Samples) -> None:
    def check() -> None:
        raise Cancelled()

    with pytest.raises(Cancelled):
        turns(heard(samples("jfk.flac")), DiarizationOptions(enabled=True), check)


def test_names_go_on_after_the_alphabet() -> None:
    names = [name_of(number) for number in (0, 1, 25, 26, 27, 51, 52)]
    assert names == ["A", "B", "Z", "AA", "AB", "AZ", "BA"]


TIMES = st.integers(0, 400).map(lambda tenth: tenth / 10)


@st.composite
def spoken_turns(draw: st.DrawFn) -> list[Turn]:
    edges = sorted(draw(st.sets(TIMES, min_size=2, max_size=20)))
    names = draw(st.lists(st.sampled_from("ABC"), min_size=10, max_size=10))
    pairs = zip(edges[::2], edges[1::2], names, strict=False)
    return [Turn(start, end, name) for start, end, name in pairs]


@st.composite
def spoken_words(draw: st.DrawFn) -> list[Word]:
    starts = sorted(draw(st.lists(TIMES, max_size=30)))
    texts = st.sampled_from(["yes", "no.", "well", "why?"])
    return [Word(draw(texts), start, start + draw(TIMES) / 40, 0.9) for start in starts]


@given(spoken_words(), spoken_turns())
def test_every_word_gets_a_speaker_and_nothing_else_changes(
    words: list[Word], spoken: list[Turn]
) -> None:
    found = attribute(words, spoken)
    assert {word.speaker for word in found} <= {turn.speaker for turn in spoken}
    assert [(w.text, w.start, w.end) for w in found] == [(w.text, w.start, w.end) for w in words]


@given(spoken_words())
def test_without_turns_words_stay_as_they_are(words: list[Word]) -> None:
    assert attribute(words, []) == words
    assert speaker_of(0.0, 1.0, []) is None


@given(TIMES, TIMES, spoken_turns())
def test_the_speaker_is_the_one_who_speaks_most_or_nearest(
    start: float, length: float, spoken: list[Turn]
) -> None:
    end = start + length / 10
    seconds = dict.fromkeys("ABC", 0.0)
    for turn in spoken:
        seconds[turn.speaker] += max(0.0, min(end, turn.end) - max(start, turn.start))
    name = speaker_of(start, end, spoken)
    if max(seconds.values()) > 0:
        assert seconds[name] == pytest.approx(max(seconds.values()))
    else:
        nearest = min(max(turn.start - end, start - turn.end) for turn in spoken)
        own = [max(t.start - end, start - t.end) for t in spoken if t.speaker == name]
        assert min(own) == pytest.approx(nearest)


def test_a_single_word_inside_a_phrase_does_not_change_the_speaker() -> None:
    spoken = [Turn(0.0, 1.0, "A"), Turn(1.0, 1.3, "B"), Turn(1.3, 3.0, "A")]
    words = [Word("as", 0.5, 0.95, 0.9), Word("I", 1.0, 1.25, 0.9), Word("said", 1.3, 1.8, 0.9)]
    assert [word.speaker for word in attribute(words, spoken)] == ["A", "A", "A"]


@pytest.mark.parametrize(
    ("answer", "start", "end"),
    [("Yes.", 1.0, 1.25), ("yes", 1.3, 1.5)],
)
def test_an_answer_of_one_word_has_its_own_speaker(answer: str, start: float, end: float) -> None:
    spoken = [Turn(0.0, 1.0, "A"), Turn(1.0, 1.6, "B"), Turn(1.6, 3.0, "A")]
    words = [Word("right", 0.5, 0.95, 0.9), Word(answer, start, end, 0.9)]
    words.append(Word("Good", 1.7, 2.0, 0.9))
    assert [word.speaker for word in attribute(words, spoken)] == ["A", "B", "A"]
