"""What a stage is: its inputs and outputs, and what it may ask of whoever runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar, cast

from ml.artifacts import ArtifactStore
from ml.options import PipelineOptions
from ml.results import Prediction, Sentence, Word

Queue = Literal["cpu", "gpu"]
InputKind = Literal["url", "file", "upload", "text"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Input:
    """What a job starts from.

    ``value`` is the address for ``url``, the path of a local file for ``file``, the key of
    the upload in the artifact store for ``upload``, and the text itself for ``text``.
    """

    kind: InputKind
    value: str


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the recording, in seconds."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Recording:
    """Output of fetch: 16 kHz mono 16-bit PCM in the store, and where it may be cut."""

    audio: str
    """Key of the audio (a WAV file), named by the digest of its samples."""
    duration: float
    parts: tuple[Span, ...]
    """Consecutive stretches that cover the recording, cut at silences."""


@dataclass(frozen=True, slots=True)
class Voice:
    """A stretch in which somebody speaks, and what the voice is like."""

    start: float
    end: float
    embedding: bytes
    """Unit vector as little-endian float16: the closer two are, the more alike the voices."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A sentence in another language, by its times, and what it says in English."""

    start: float
    end: float
    text: str
    english: bool = True
    """False where nobody could translate it: then it stands as it was said."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """Output of transcribe, one for each part. Times count from the recording's start."""

    language: str
    language_probability: float | None
    """None where the language was given or assumed, not detected."""
    words: tuple[Word, ...]
    model: str
    """Name and version of the recogniser."""
    voices: tuple[Voice, ...] = ()
    """Who speaks when, as far as one part can tell; for diarization."""
    passages: tuple[Passage, ...] = ()
    """The translated sentences, where the caller asked for translation."""
    redacted: tuple[Span, ...] = ()
    """Where something was said that the words leave out."""


@dataclass(frozen=True, slots=True)
class Sentences:
    """Output of segment: the sentences in order, and the features of each."""

    language: str
    sentences: tuple[Sentence, ...]
    features: tuple[tuple[float, ...], ...]
    features_version: str
    duration: float | None
    models: Mapping[str, str]
    notes: tuple[str, ...] = ()
    language_probability: float | None = None
    redacted_audio: str | None = None


@dataclass(frozen=True, slots=True)
class Predictions:
    """Output of classify: one prediction for each sentence, in order."""

    predictions: tuple[Prediction, ...]
    model: str
    """Name and version of the classifier."""


@dataclass(slots=True)
class Context:
    """What a running stage may ask of whoever runs it."""

    source: Input
    options: PipelineOptions
    store: ArtifactStore
    workdir: Path
    """A directory of this step's own, removed afterwards."""
    progress: Callable[[float, str], None] = lambda fraction, detail: None
    """Report a fraction 0..1 of this part and a few words such as "12 of 60 s"."""
    check: Callable[[], None] = lambda: None
    """Raise :class:`ml.errors.Cancelled` if the work shall stop; call it every second."""


class Outputs:
    """The outputs of the stages that ran before, by stage name, one for each part."""

    def __init__(self, outputs: Mapping[str, Sequence[Any]]) -> None:
        self._outputs = outputs

    def all(self, stage: str, kind: type[T]) -> list[T]:
        """Return the outputs of every part of a stage; empty where it was skipped."""
        return cast(list[T], list(self._outputs.get(stage, ())))

    def one(self, stage: str, kind: type[T]) -> T:
        """Return the output of a stage that has one part; raise LookupError if missing."""
        (output,) = self.all(stage, kind)
        return output


@dataclass(frozen=True, slots=True)
class Stage(Generic[T]):
    """One step of the pipeline."""

    name: str
    queue: Queue
    version: str
    """Part of the artifact key: raise it when the output changes for the same input."""
    output: type[T]
    needs: tuple[str, ...]
    """The earlier stages whose outputs it reads."""
    weight: float
    """Its share of the work, for progress over the whole job."""
    run: Callable[[Context, Outputs, int], T]
    depends_on: Callable[[PipelineOptions], Any] = lambda options: None
    """The options that the output depends on, JSON-serialisable."""
    fan_out: Callable[[T], int] = lambda output: 1
    """From this stage's output, the number of parts of the next stage."""
    blobs: Callable[[T], tuple[str, ...]] = lambda output: ()
    """From this stage's output, the keys of other artifacts that it refers to."""
    audio_seconds: Callable[[T], float | None] = lambda output: None
    """From this stage's output, the length of the recording, if it is what fetches it."""
