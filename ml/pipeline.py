"""The stages of the pipeline, in order, and the runner that runs them in one process.

fetch -> transcribe -> segment -> classify -> aggregate

A stage is a function from typed inputs to a typed output. It does not know who runs it:
:func:`run_stage` is called by the in-process runner below and, one (stage, part) at a
time, by the Celery workers. Progress, cancellation and storage reach it through
:class:`ml.stage.Context`. Every output is an artifact under a key made from the digests of what it
depends on, so that caching, retrying and resuming are one mechanism.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from ml.artifacts import ArtifactStore, artifact_key, digest
from ml.options import PipelineOptions
from ml.results import Analysis
from ml.stage import (
    Context,
    Input,
    InputKind,
    Outputs,
    Predictions,
    Recording,
    Sentences,
    Stage,
    Transcript,
)


def _fetch(context: Context, outputs: Outputs, part: int) -> Recording:
    from ml.source.fetch import fetch

    return fetch(context)


def _transcribe(context: Context, outputs: Outputs, part: int) -> Transcript:
    from ml.speech.transcribe import transcribe

    return transcribe(context, outputs.one("fetch", Recording), part)


def _segment(context: Context, outputs: Outputs, part: int) -> Sentences:
    from ml.text.segment import segment_speech, segment_text

    if context.source.kind == "text":
        return segment_text(context)
    transcripts = outputs.all("transcribe", Transcript)
    return segment_speech(context, outputs.one("fetch", Recording), transcripts)


def _classify(context: Context, outputs: Outputs, part: int) -> Predictions:
    from ml.emotion.classify import classify

    return classify(context, outputs.one("segment", Sentences))


def _aggregate(context: Context, outputs: Outputs, part: int) -> Analysis:
    from ml.emotion.aggregate import aggregate

    return aggregate(
        context, outputs.one("segment", Sentences), outputs.one("classify", Predictions)
    )


def _cutting(options: PipelineOptions) -> float | None:
    """Return how long parts are, where the recording is cut at all."""
    return options.source.part_seconds if options.transcription.in_parts else None


def _transcription(options: PipelineOptions) -> list[Any]:
    from ml.speech.engines.choice import identity_of

    chosen, speakers = options.transcription, options.diarization
    return [
        identity_of(chosen),
        chosen.language,
        chosen.translate,
        chosen.beam_size,
        speakers.wanted and (speakers.method if chosen.in_parts else _diarization(options)),
        options.privacy.policies,
    ]


def _diarization(options: PipelineOptions) -> list[Any]:
    chosen = options.diarization
    return [chosen.wanted, chosen.speakers, chosen.min_speakers, chosen.max_speakers]


def _segmentation(options: PipelineOptions) -> list[Any]:
    return [
        _features(options),
        options.transcription.language == "auto",
        _diarization(options),
        options.privacy.policies,
        options.privacy.redact_audio,
        options.prosody.enabled,
    ]


def _features(options: PipelineOptions) -> str | None:
    from ml.text.features import FEATURES_VERSION

    return FEATURES_VERSION if options.classification.features else None


def _classification(options: PipelineOptions) -> list[Any]:
    from ml.emotion.classify import identity_of

    chosen = options.classification
    return [identity_of(chosen), chosen.features, chosen.confidence_threshold]


STAGES: tuple[Stage[Any], ...] = (
    Stage(
        name="fetch",
        queue="cpu",
        version="1",
        output=Recording,
        needs=(),
        weight=0.15,
        run=_fetch,
        depends_on=_cutting,
        fan_out=lambda recording: len(recording.parts),
        blobs=lambda recording: (recording.audio,),
        audio_seconds=lambda recording: recording.duration,
    ),
    Stage(
        name="transcribe",
        queue="gpu",
        version="2",
        output=Transcript,
        needs=("fetch",),
        weight=0.60,
        run=_transcribe,
        depends_on=_transcription,
    ),
    Stage(
        name="segment",
        queue="cpu",
        version="2",
        output=Sentences,
        needs=("fetch", "transcribe"),
        weight=0.05,
        run=_segment,
        depends_on=_segmentation,
        blobs=lambda sentences: (sentences.redacted_audio,) if sentences.redacted_audio else (),
    ),
    Stage(
        name="classify",
        queue="gpu",
        version="2",
        output=Predictions,
        needs=("segment",),
        weight=0.15,
        run=_classify,
        depends_on=_classification,
    ),
    Stage(
        name="aggregate",
        queue="cpu",
        version="2",
        output=Analysis,
        needs=("segment", "classify"),
        weight=0.05,
        run=_aggregate,
        depends_on=lambda options: options.summary.timeline_bins,
    ),
)

TEXT_SKIPS = frozenset({"fetch", "transcribe"})
"""Stages that a text job does not need."""


def plan(kind: InputKind) -> tuple[Stage[Any], ...]:
    """Return the stages that a job of this kind runs, in order."""
    return tuple(s for s in STAGES if kind != "text" or s.name not in TEXT_SKIPS)


@dataclass(frozen=True, slots=True)
class StageResult:
    """Where a stage's output lies, what it refers to, and how many parts the next stage has."""

    key: str
    next_parts: int
    blobs: tuple[str, ...] = ()
    audio_seconds: float | None = None


def run_stage(
    stage: Stage[Any],
    part: int,
    context: Context,
    inputs: Mapping[str, Sequence[str]],
    scope: str,
) -> StageResult:
    """Run one part of a stage, or find its output from an earlier run.

    ``inputs`` are the artifact keys of the stages before, by name, in part order.
    ``scope`` distinguishes sources that cannot be told apart by content: the job for a
    URL, whose content may change from one day to the next.
    """
    needed = {name: inputs.get(name, ()) for name in stage.needs}
    documents = {name: [context.store.read(key) for key in keys] for name, keys in needed.items()}
    digests = [hashlib.sha256(d).hexdigest() for name in stage.needs for d in documents[name]]
    key = artifact_key(
        stage.name,
        stage.version,
        stage.depends_on(context.options),
        [*digests, *_source_digest(stage, context.source, scope)],
        part,
    )
    output = _stored(stage, key, context)
    if output is None:
        context.check()
        output = stage.run(context, _decode(documents), part)
        context.store.write(key, msgspec.json.encode(output))
    return StageResult(key, stage.fan_out(output), stage.blobs(output), stage.audio_seconds(output))


def _stored(stage: Stage[Any], key: str, context: Context) -> Any:
    """Return the output of an earlier run; None where it, or a blob that it names, is gone."""
    if not context.store.exists(key):
        return None
    output = msgspec.json.decode(context.store.read(key), type=stage.output)
    return output if all(map(context.store.exists, stage.blobs(output))) else None


def _source_digest(stage: Stage[Any], source: Input, scope: str) -> list[str]:
    """Return what a stage without inputs depends on: the source itself."""
    reads_source = stage.name == "fetch" or (stage.name == "segment" and source.kind == "text")
    if not reads_source:
        return []
    return [digest(source.kind, source.value, "" if source.kind == "text" else scope)]


def _decode(documents: Mapping[str, Sequence[bytes]]) -> Outputs:
    types = {stage.name: stage.output for stage in STAGES}
    return Outputs(
        {
            name: [msgspec.json.decode(document, type=types[name]) for document in of_stage]
            for name, of_stage in documents.items()
        }
    )


@dataclass(slots=True)
class Runner:
    """Runs the whole list of stages in this process."""

    options: PipelineOptions = field(default_factory=PipelineOptions)
    progress: Callable[[str, float, str], None] = lambda stage, fraction, detail: None
    """Called with the stage, the fraction 0..1 of the job, and a few words."""
    check: Callable[[], None] = lambda: None

    def run(self, source: Input, *, redacted_audio: Path | None = None) -> Analysis:
        """Return the analysis of one source; raise a :class:`ml.errors.EmotionClfError`.

        ``redacted_audio`` is where the silenced recording is written, if the options ask for
        one (``privacy.redact_audio``).
        """
        with tempfile.TemporaryDirectory(prefix="emotion-clf-") as directory:
            store = ArtifactStore(f"file://{directory}/artifacts")
            keys: dict[str, list[str]] = {}
            parts, done = 1, 0.0
            stages = plan(source.kind)
            total = sum(stage.weight for stage in stages)
            for stage in stages:
                keys[stage.name] = []
                share = stage.weight / total / parts
                for part in range(parts):
                    workdir = Path(directory, f"{stage.name}-{part}")
                    workdir.mkdir()
                    self.progress(stage.name, done, "")
                    context = Context(
                        source=source,
                        options=self.options,
                        store=store,
                        workdir=workdir,
                        progress=self._reporter(stage.name, done, share),
                        check=self.check,
                    )
                    result = run_stage(stage, part, context, keys, scope="")
                    keys[stage.name].append(result.key)
                    done += share
                parts = result.next_parts
            self.progress(stages[-1].name, 1.0, "")
            analysis = msgspec.json.decode(store.read(result.key), type=Analysis)
            if redacted_audio and analysis.redacted_audio:
                store.read_file(analysis.redacted_audio, redacted_audio)
            return analysis

    def _reporter(self, stage: str, done: float, share: float) -> Callable[[float, str], None]:
        return lambda fraction, detail: self.progress(stage, done + share * fraction, detail)
