"""Results as the pipeline would return them."""

from __future__ import annotations

from ml.results import Analysis, Segment, SpeakerSummary, Summary, TimelineBin
from ml.taxonomy import BASE_EMOTIONS, INTENSITIES, SUB_EMOTIONS

EMOTIONS = {name: 1.0 if name == "happiness" else 0.0 for name in BASE_EMOTIONS}


def make_analysis(*, text: str = "It works!", duration: float | None = 2.5) -> Analysis:
    timed = duration is not None
    segment = Segment(
        index=0,
        start=0.25 if timed else None,
        end=2.0 if timed else None,
        speaker="SPEAKER_00" if timed else None,
        text=text,
        emotion="happiness",
        sub_emotion="joy",
        intensity="moderate",
        confidence=0.9,
        low_confidence=False,
        emotions=EMOTIONS,
        sub_emotions=dict.fromkeys(SUB_EMOTIONS, 0.1),
        intensities={name: 1.0 if name == "moderate" else 0.0 for name in INTENSITIES},
        labels=("joy",),
    )
    summary = Summary(
        segments=1,
        speech_seconds=1.75 if timed else 0.0,
        dominant_emotion="happiness",
        emotions=EMOTIONS,
        timeline=(TimelineBin(0.0, 2.5, "happiness", EMOTIONS),),
        speakers=(SpeakerSummary("SPEAKER_00", 1.75, 1, "happiness", EMOTIONS),) if timed else (),
    )
    return Analysis("en", duration, {"classifier": "test 1"}, (segment,), summary)
