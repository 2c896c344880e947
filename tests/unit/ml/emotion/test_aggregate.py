from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.artifacts import ArtifactStore
from ml.emotion.aggregate import aggregate
from ml.options import PipelineOptions, SummaryOptions
from ml.results import Analysis, Prediction, Sentence
from ml.stage import Context, Input, Predictions, Sentences
from ml.taxonomy import BASE_EMOTIONS, INTENSITIES, SUB_EMOTIONS, SUBS_OF


def feeling(base: str, certainty: float = 1.0) -> Prediction:
    rest = (1 - certainty) / (len(BASE_EMOTIONS) - 1)
    return Prediction(
        text="",
        emotion=base,
        sub_emotion=SUBS_OF[base][0],
        intensity="mild",
        confidence=certainty,
        low_confidence=False,
        emotions={name: certainty if name == base else rest for name in BASE_EMOTIONS},
        sub_emotions=dict.fromkeys(SUB_EMOTIONS, 0.1),
        intensities=dict.fromkeys(INTENSITIES, 1 / 3),
        labels=(),
    )


def analysed(
    sentences: list[Sentence], feelings: list[str], duration: float | None, bins: int = 4
) -> Analysis:
    said = Sentences(
        language="en",
        sentences=tuple(sentences),
        features=(),
        features_version="1.0",
        duration=duration,
        models={"transcription": "tiny.en 1"} if duration is not None else {},
        notes=("a note",),
    )
    options = PipelineOptions(summary=SummaryOptions(timeline_bins=bins))
    context = Context(Input("text", ""), options, ArtifactStore("memory://x"), Path())
    predictions = Predictions(tuple(feeling(name) for name in feelings), "clf 1")
    return aggregate(context, said, predictions)


def spoken(index: int, start: float, end: float, speaker: str | None = None) -> Sentence:
    return Sentence(index, "words", start, end, speaker)


def test_speech_counts_by_its_duration() -> None:
    analysis = analysed([spoken(0, 0, 1), spoken(1, 1, 4)], ["anger", "fear"], 8.0)
    summary = analysis.summary
    assert summary.emotions["anger"] == pytest.approx(0.25)
    assert summary.emotions["fear"] == pytest.approx(0.75)
    assert summary.dominant_emotion == "fear"
    assert (summary.segments, summary.speech_seconds) == (2, 4.0)
    assert (analysis.duration, analysis.language, analysis.notes) == (8.0, "en", ("a note",))
    assert analysis.models == {
        "transcription": "tiny.en 1",
        "features": "1.0",
        "classification": "clf 1",
    }


def test_text_counts_by_its_characters() -> None:
    sentences = [Sentence(0, "a" * 10), Sentence(1, "b" * 30)]
    summary = analysed(sentences, ["anger", "fear"], None).summary
    assert summary.emotions["fear"] == pytest.approx(0.75)
    assert summary.speech_seconds == 0.0
    assert [(b.start, b.end, b.emotion) for b in summary.timeline] == [
        (0.0, 1.0, "anger"),
        (1.0, 2.0, "fear"),
    ]


def test_the_timeline_weighs_overlap_and_leaves_silence_out() -> None:
    timeline = analysed(
        [spoken(0, 0, 1), spoken(1, 1, 3), spoken(2, 7, 8)], ["anger", "fear", "neutral"], 8.0
    ).summary.timeline
    assert [(b.start, b.end, b.emotion) for b in timeline] == [
        (0.0, 2.0, "anger"),
        (2.0, 4.0, "fear"),
        (6.0, 8.0, "neutral"),
    ]
    assert timeline[0].emotions["anger"] == timeline[0].emotions["fear"] == pytest.approx(0.5)


def test_speakers_in_order_of_appearance() -> None:
    speakers = analysed(
        [spoken(0, 0, 1, "B"), spoken(1, 1, 3, "A"), spoken(2, 3, 6, "B"), spoken(3, 6, 7)],
        ["anger", "fear", "neutral", "fear"],
        8.0,
    ).summary.speakers
    assert [(s.speaker, s.segments, s.speech_seconds, s.dominant_emotion) for s in speakers] == [
        ("B", 2, 4.0, "neutral"),
        ("A", 1, 2.0, "fear"),
    ]
    assert speakers[0].emotions["anger"] == pytest.approx(0.25)


def test_nothing_said() -> None:
    for duration in (12.0, None):
        summary = analysed([], [], duration).summary
        assert summary.dominant_emotion is None
        assert set(summary.emotions.values()) == {0.0}
        assert (summary.timeline, summary.speakers, summary.segments) == ((), (), 0)


def test_a_sentence_without_length_still_counts() -> None:
    summary = analysed([spoken(0, 8, 8)], ["anger"], 8.0).summary
    assert summary.dominant_emotion == "anger"
    assert [b.end for b in summary.timeline] == [8.0]


def test_a_prediction_that_is_missing_is_noticed() -> None:
    with pytest.raises(ValueError, match="shorter"):
        analysed([spoken(0, 0, 1)], [], 8.0)


spans = st.lists(
    st.tuples(st.floats(0, 50), st.floats(0, 30), st.sampled_from(BASE_EMOTIONS)), max_size=30
)


@given(spans, st.integers(1, 50))
def test_every_distribution_sums_to_one(spans: list[tuple[float, float, str]], bins: int) -> None:
    now, sentences = 0.0, []
    for index, (gap, length, _) in enumerate(spans):
        sentences.append(spoken(index, now + gap, now + gap + length, f"S{index % 2}"))
        now += gap + length
    summary = analysed(sentences, [name for *_, name in spans], now + 1.0, bins).summary
    means = [part.emotions for part in (*summary.timeline, *summary.speakers)]
    if spans:
        means.append(summary.emotions)
        assert summary.timeline
    for mean in means:
        assert sum(mean.values()) == pytest.approx(1.0, abs=1e-5)
    for before, after in itertools.pairwise(summary.timeline):
        assert before.end <= after.start + 2e-3


def test_the_result_survives_json() -> None:
    analysis = analysed([spoken(0, 0, 1, "A")], ["anger"], 8.0)
    assert Analysis.from_dict(analysis.to_dict()) == replace(analysis)
