"""The aggregate stage: sentences and predictions to segments and a summary."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import fsum

from ml.results import Analysis, Segment, SpeakerSummary, Summary, TimelineBin
from ml.stage import Context, Predictions, Sentences
from ml.taxonomy import BASE_EMOTIONS

_DIGITS = 6
_MIN_WEIGHT = 1e-3
"""A sentence whose word times collapsed to a point still counts for something."""


def aggregate(context: Context, said: Sentences, predicted: Predictions) -> Analysis:
    """Join sentences with their predictions and sum them up.

    Speech counts by its duration, text by its characters.
    """
    segments = tuple(
        Segment.of(sentence, prediction)
        for sentence, prediction in zip(said.sentences, predicted.predictions, strict=True)
    )
    emotions = _mean((s.emotions, _weight(s)) for s in segments)
    bins = context.options.summary.timeline_bins
    return Analysis(
        language=said.language,
        duration=said.duration,
        models={
            **said.models,
            "features": said.features_version,
            "classification": predicted.model,
        },
        segments=segments,
        summary=Summary(
            segments=len(segments),
            speech_seconds=_speech_seconds(segments),
            dominant_emotion=_dominant(emotions) if segments else None,
            emotions=emotions,
            timeline=tuple(_timeline(segments, said.duration, bins)),
            speakers=tuple(_speakers(segments)),
        ),
        language_probability=said.language_probability,
        redacted_audio=said.redacted_audio,
        notes=said.notes,
    )


def _weight(segment: Segment) -> float:
    if segment.start is None or segment.end is None:
        return float(max(len(segment.text), 1))
    return max(segment.end - segment.start, _MIN_WEIGHT)


def _speech_seconds(segments: Iterable[Segment]) -> float:
    spoken = (s.end - s.start for s in segments if s.start is not None and s.end is not None)
    return round(fsum(spoken), 3)


def _mean(weighted: Iterable[tuple[Mapping[str, float], float]]) -> dict[str, float]:
    """Return the weighted mean distribution; all zero where nothing weighs anything."""
    pairs = list(weighted)
    total = fsum(weight for _, weight in pairs)
    if total <= 0:
        return dict.fromkeys(BASE_EMOTIONS, 0.0)
    sums = {name: fsum(e[name] * weight for e, weight in pairs) for name in BASE_EMOTIONS}
    # Dividing by the sum of the sums, not by the weights, undoes rounding in the inputs.
    whole = fsum(sums.values())
    return {name: round(value / whole, _DIGITS) for name, value in sums.items()}


def _dominant(emotions: Mapping[str, float]) -> str:
    return max(BASE_EMOTIONS, key=lambda name: emotions[name])


def _timeline(
    segments: Sequence[Segment], duration: float | None, bins: int
) -> Iterator[TimelineBin]:
    """Yield equal stretches in order; those in which nothing is said are left out."""
    if duration is None:
        # A stretch shorter than a sentence would say the same thing twice.
        length, bins = float(len(segments)), min(bins, len(segments))
    else:
        length = duration
    if length <= 0:
        return
    overlaps: dict[int, list[tuple[Mapping[str, float], float]]] = defaultdict(list)
    width = length / bins
    for segment in segments:
        start, end = _extent(segment)
        first, last = (min(int(time / width), bins - 1) for time in (start, end))
        for number in range(first, last + 1):
            # The last stretch takes what rounding, or a word without length, puts at its end.
            right = end if number == bins - 1 else min(end, (number + 1) * width)
            shared = right - max(start, number * width)
            if shared > 0:
                overlaps[number].append((segment.emotions, shared))
    for number in sorted(overlaps):
        emotions = _mean(overlaps[number])
        yield TimelineBin(
            start=round(number * width, 3),
            end=round((number + 1) * width, 3),
            emotion=_dominant(emotions),
            emotions=emotions,
        )


def _extent(segment: Segment) -> tuple[float, float]:
    """Return where a segment lies on the timeline: seconds, or for text its index."""
    if segment.start is None or segment.end is None:
        return float(segment.index), float(segment.index + 1)
    return segment.start, max(segment.end, segment.start + _MIN_WEIGHT)


def _speakers(segments: Iterable[Segment]) -> Iterator[SpeakerSummary]:
    """Yield a summary for each speaker, in order of appearance."""
    by_speaker: dict[str, list[Segment]] = defaultdict(list)
    for segment in segments:
        if segment.speaker is not None:
            by_speaker[segment.speaker].append(segment)
    for speaker, own in by_speaker.items():
        emotions = _mean((s.emotions, _weight(s)) for s in own)
        yield SpeakerSummary(
            speaker=speaker,
            speech_seconds=_speech_seconds(own),
            segments=len(own),
            dominant_emotion=_dominant(emotions),
            emotions=emotions,
        )
