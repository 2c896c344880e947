from __future__ import annotations

import io
from dataclasses import replace

import pytest

from emotion_clf.cli.render import clock, render
from ml.results import Analysis, Segment, SpeakerSummary, Summary, TimelineBin
from ml.taxonomy import BASE_EMOTIONS, INTENSITIES, SUB_EMOTIONS

JOY = {emotion: float(emotion == "happiness") for emotion in BASE_EMOTIONS}
SEGMENT = Segment(
    index=0,
    start=0.0,
    end=2.5,
    speaker=None,
    text="We won [twice] today!",
    emotion="happiness",
    sub_emotion="joy",
    intensity="intense",
    confidence=0.62,
    low_confidence=True,
    emotions=JOY,
    sub_emotions=dict.fromkeys(SUB_EMOTIONS, 0.0),
    intensities=dict.fromkeys(INTENSITIES, 1 / 3),
    labels=("joy",),
)
ANALYSIS = Analysis(
    language="en",
    duration=2.5,
    models={"classification": "x 1"},
    segments=(SEGMENT,),
    summary=Summary(1, 2.5, "happiness", JOY, (TimelineBin(0, 2.5, "happiness", JOY),), ()),
)


def rendered(analysis: Analysis) -> str:
    sink = io.StringIO()
    render(analysis, sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0:00.0"),
        (9.96, "0:10.0"),
        (61.25, "1:01.2"),
        (3599.99, "1:00:00.0"),
        (7384.5, "2:03:04.5"),
    ],
)
def test_a_clock(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown


def test_a_sentence_stands_with_its_times_and_its_doubt() -> None:
    text = rendered(ANALYSIS)
    assert "0:00.0  0:02.5  We won [twice] today!" in text
    assert "62%?" in text
    assert "1 sentence, 2.5 s of speech, mostly happiness" in text
    assert "speaker" not in text


@pytest.mark.parametrize("doubt", [True, False])
def test_the_question_mark_is_explained_where_there_is_one(doubt: bool) -> None:
    text = rendered(replace(ANALYSIS, segments=(replace(SEGMENT, low_confidence=doubt),)))
    assert ("less sure than the threshold" in text) == doubt
    assert ("%?" in text) == doubt


def test_speakers_get_a_column_and_a_line() -> None:
    segment = replace(SEGMENT, speaker="Ann")
    speaker = SpeakerSummary("Ann", 2.5, 1, "happiness", JOY)
    summary = replace(ANALYSIS.summary, speakers=(speaker,))
    text = rendered(replace(ANALYSIS, segments=(segment,), summary=summary))
    assert "Ann: 2.5 s, mostly happiness" in text


def test_a_translation_stands_above_what_was_said() -> None:
    segment = replace(SEGMENT, text="Good morning.", original_text="Buenos días.")
    text = rendered(replace(ANALYSIS, segments=(segment,)))
    assert text.index("Good morning.") < text.index("Buenos días.")


def test_text_has_no_times() -> None:
    segment = replace(SEGMENT, start=None, end=None)
    text = rendered(replace(ANALYSIS, duration=None, segments=(segment,)))
    assert "0:00" not in text
    assert "1 sentence, mostly happiness" in text


def test_silence_is_a_note() -> None:
    empty = Summary(0, 0.0, None, dict.fromkeys(BASE_EMOTIONS, 0.0), (), ())
    silent = replace(ANALYSIS, segments=(), summary=empty, notes=("No speech was found.",))
    assert rendered(silent) == "Note: No speech was found.\n"
