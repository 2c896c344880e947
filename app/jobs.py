"""What a job and a step are, the states they have, and which may follow which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, TypeVar
from uuid import UUID

from ml.errors import EmotionClfError

Kind = Literal["url", "upload", "text"]
Queue = Literal["cpu", "gpu"]
QUEUES: tuple[Queue, ...] = ("cpu", "gpu")
TASK = "emotion_clf.run_step"
"""Name of the task that runs a step, between those who send it and those who run it."""


class JobStatus(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class StepState(StrEnum):
    """Where one (job, stage, part) stands."""

    WAITING = "waiting"
    """Scheduled for later: a transient error is retried at ``available_at``."""
    READY = "ready"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class DeliveryState(StrEnum):
    """Where the report on a job's end stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    """Nobody took it for as long as it was tried."""


JOB_TRANSITIONS: Mapping[JobStatus, frozenset[JobStatus]] = {
    JobStatus.QUEUED: frozenset({JobStatus.RUNNING, JobStatus.CANCELLED}),
    JobStatus.RUNNING: frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED}),
    JobStatus.COMPLETED: frozenset(),
    JobStatus.FAILED: frozenset(),
    JobStatus.CANCELLED: frozenset(),
}
"""The states that may follow each state. A state that nothing follows is terminal."""

STEP_TRANSITIONS: Mapping[StepState, frozenset[StepState]] = {
    StepState.WAITING: frozenset({StepState.READY, StepState.CANCELLED}),
    StepState.READY: frozenset({StepState.RUNNING, StepState.CANCELLED}),
    StepState.RUNNING: frozenset(
        {
            StepState.DONE,
            StepState.FAILED,
            StepState.CANCELLED,
            StepState.WAITING,  # a transient error, retried later
            StepState.READY,  # the worker shut down, or its lease ran out
        }
    ),
    StepState.DONE: frozenset(),
    StepState.FAILED: frozenset(),
    StepState.CANCELLED: frozenset(),
}

State = TypeVar("State", JobStatus, StepState)


def before(table: Mapping[State, frozenset[State]], state: State) -> tuple[State, ...]:
    """Return the states from which ``state`` may be entered: the guard of an update."""
    return tuple(earlier for earlier, later in table.items() if state in later)


def terminal(table: Mapping[State, frozenset[State]]) -> tuple[State, ...]:
    """Return the states that never change again."""
    return tuple(state for state, later in table.items() if not later)


def unfinished(table: Mapping[State, frozenset[State]]) -> tuple[State, ...]:
    """Return the states in which there is work to do: those that are not :func:`terminal`."""
    return tuple(state for state, later in table.items() if later)


OPEN_JOBS = unfinished(JOB_TRANSITIONS)

FIRST_STEP: Mapping[Kind, tuple[str, Queue]] = {
    "url": ("fetch", "cpu"),
    "upload": ("fetch", "cpu"),
    "text": ("segment", "cpu"),
}
"""Stage and queue that a job of each kind starts with. The pipeline's own list lies in
``ml.pipeline``, which the API does not import; a test keeps the two in agreement."""

SHOWN_SOURCE = 2048
"""Characters of a source that :class:`Job` carries: a whole URL, the start of a text."""


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a job failed, in words for its owner."""

    code: str
    message: str
    hint: str

    @classmethod
    def of(cls, error: EmotionClfError) -> JobError:
        """Return what a user may know of an error."""
        return cls(code=error.code, message=error.text, hint=error.advice)


INTERNAL_ERROR = JobError(
    code=EmotionClfError.code,
    message=EmotionClfError.message,
    hint="Submit it again; an operator finds the cause in the worker's log under the job's id.",
)
"""What a job fails with when the cause is a defect of ours."""


@dataclass(frozen=True, slots=True)
class Callback:
    """Where the end of a job shall be reported."""

    url: str
    with_result: bool = False
    """Whether the report carries the result; it may hold what people said."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The request that a job comes from, for logs and traces."""

    request_id: str | None = None
    trace: str | None = None
    """W3C ``traceparent``."""


@dataclass(frozen=True, slots=True)
class Repeatable:
    """An ``Idempotency-Key``, and what it was sent with."""

    key: str
    digest: str
    """SHA-256 of the address and the body: another body under the same key is refused."""


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job that somebody asks for."""

    kind: Kind
    source: str
    """The address for ``url``, the key in the artifact store for ``upload``, the text itself."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options of the pipeline that differ from the settings, by section: ``{"classification":
    {"confidence_threshold": 0.5}}``."""
    owner: str = "local"
    title: str | None = None
    callback: Callback | None = None
    origin: Origin = Origin()


@dataclass(frozen=True, slots=True)
class NewBatch:
    """Jobs of one owner that shall be submitted together."""

    jobs: tuple[NewJob, ...]
    owner: str = "local"
    title: str | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as it stood when it was read."""

    id: UUID
    title: str | None
    total: int
    """How many jobs were submitted."""
    counts: Mapping[JobStatus, int]
    """How many of them are in each state; those that were erased are in none."""
    progress: float
    """0..1: the mean of the jobs', where what has ended counts as done."""
    created_at: datetime

    @property
    def finished(self) -> bool:
        """Whether none of its jobs waits or runs."""
        ended = terminal(JOB_TRANSITIONS)
        return not any(count for status, count in self.counts.items() if status not in ended)


@dataclass(frozen=True, slots=True)
class Delivery:
    """The report on a job's end: what became of it."""

    id: UUID
    event: str
    state: DeliveryState
    attempts: tuple[Mapping[str, Any], ...]
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it stood when it was read."""

    id: UUID
    owner: str
    kind: Kind
    source: str
    """At most :data:`SHOWN_SOURCE` characters of it."""
    title: str | None
    options: Mapping[str, Any]
    status: JobStatus
    stage: str | None
    """The stage that runs or ran last; None while the job is queued."""
    progress: float
    """0..1; never decreases."""
    detail: str
    """A few words on the progress, such as "12 of 60 s"."""
    error: JobError | None
    batch_id: UUID | None
    batch_index: int | None
    """Its place in the batch, from 0."""
    callback_url: str | None
    audio_seconds: float | None
    """Length of the recording, once it is fetched."""
    expired: bool
    """Whether its result was removed because it grew old."""
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Quotas:
    """How much is accepted. 0 means no limit, but for ``max_queued``."""

    max_queued: int = 10_000
    """Jobs of all owners that may wait."""
    jobs_at_once: int = 0
    """Jobs of one owner that may wait or run."""
    audio_seconds_a_day: float = 0
    """Audio of one owner in one day (UTC)."""
    creations_a_minute: int = 0
    """Submissions of one owner in a minute, a batch being one, where no rate limiter counts."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some jobs, newest first, and where the next page starts."""

    jobs: tuple[Job, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Counts:
    """How many jobs there are of each status, and how long the oldest has been waiting."""

    by_status: Mapping[JobStatus, int]
    oldest_queued_seconds: float
    """0 where none waits."""


@dataclass(frozen=True, slots=True)
class Step:
    """One part of one stage of a job, to be sent to a queue."""

    id: int
    job_id: UUID
    stage: str
    part: int
    queue: Queue


@dataclass(frozen=True, slots=True)
class Claim:
    """A step that a worker may work on until its lease ends."""

    step_id: int
    job_id: UUID
    owner: str
    kind: Kind
    source: str
    title: str | None
    options: Mapping[str, Any]
    stage: str
    part: int
    parts: int
    attempt: int
    """Which claim of this step it is; every write carries it, and a later claim voids it."""
    failures: int
    """How often the step was retried after a transient error."""
    store_failures: int
    """How often of these because the artifact store was away."""
    lease_until: datetime
    origin: Origin = Origin()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a step is, and how that counts for the job."""

    fraction: float
    """0..1 of this part."""
    detail: str
    base: float
    """Progress of the job when the stage starts."""
    span: float
    """Progress that the whole stage adds."""


@dataclass(frozen=True, slots=True)
class Output:
    """What a step stored."""

    key: str
    blobs: tuple[str, ...] = ()
    """Keys of other artifacts that it refers to."""
    audio_seconds: float | None = None
    """Length of the recording, from the step that fetched it."""


@dataclass(frozen=True, slots=True)
class NextStage:
    """The stage that becomes ready when the last part of the present one is done."""

    name: str
    queue: Queue
    parts: int
    progress: float
    """Progress of the job when it starts."""
