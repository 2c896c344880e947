"""The tables. Alembic compares them with the migrations in a test."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Date,
    DateTime,
    Engine,
    ForeignKey,
    Identity,
    Index,
    MetaData,
    UniqueConstraint,
    false,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from app.jobs import DeliveryState, JobStatus, StepState


class Base(DeclarativeBase):
    """The declarative base; constraints are named so that migrations can change them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        date: Date(),
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB(none_as_null=True),
        list[str]: JSONB(none_as_null=True),
        list[dict[str, Any]]: JSONB(none_as_null=True),
    }


def _one_of(column: str, values: type[DeliveryState] | type[JobStatus] | type[StepState]) -> str:
    return f"{column} IN ({', '.join(repr(value.value) for value in values)})"


class BatchRow(Base):
    """Jobs that were submitted together."""

    __tablename__ = "batches"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    owner: Mapped[str]
    title: Mapped[str | None]
    total: Mapped[int]
    """How many jobs it had when it was submitted; some may have been erased since."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (Index(None, "owner", "created_at", "id"),)


class JobRow(Base):
    """A job: what was asked, and where it stands."""

    __tablename__ = "jobs"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    owner: Mapped[str]
    kind: Mapped[str]
    source: Mapped[str]
    title: Mapped[str | None]
    options: Mapped[dict[str, Any]]
    status: Mapped[str] = mapped_column(server_default=JobStatus.QUEUED)
    stage: Mapped[str | None]
    progress: Mapped[float] = mapped_column(server_default="0")
    detail: Mapped[str] = mapped_column(server_default="")
    error: Mapped[dict[str, Any] | None]
    batch_id: Mapped[UUID | None] = mapped_column(ForeignKey("batches.id", ondelete="SET NULL"))
    batch_index: Mapped[int | None]
    """Its place in the batch, from 0."""
    callback_url: Mapped[str | None]
    """Where its end is reported."""
    callback_result: Mapped[bool] = mapped_column(server_default=false())
    """Whether that report carries the result."""
    audio_seconds: Mapped[float | None]
    """Length of the recording, once it is fetched."""
    request_id: Mapped[str | None]
    """Identifier of the request that submitted it, for the logs."""
    trace: Mapped[str | None]
    """W3C ``traceparent`` of that request, where it was traced."""
    expired: Mapped[bool] = mapped_column(server_default=false())
    """Whether its result was removed because it grew old."""
    rewinds: Mapped[int] = mapped_column(server_default="0")
    """How often it began again because artifacts that it needed were gone."""
    erasing: Mapped[bool] = mapped_column(server_default=false())
    """Whether its owner had it erased: nobody sees it any more, and it goes as soon as no worker
    holds a step of it."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("(batch_id IS NULL) OR (batch_index IS NOT NULL)", name="batch"),
        CheckConstraint(_one_of("status", JobStatus), name="status"),
        CheckConstraint("kind IN ('url', 'upload', 'text')", name="kind"),
        CheckConstraint("progress BETWEEN 0 AND 1", name="progress"),
        CheckConstraint("(status = 'failed') = (error IS NOT NULL)", name="error"),
        Index(None, "owner", "created_at", "id"),
        Index(None, "owner", "status", "created_at", "id"),
        Index(None, "status", "created_at"),
        Index(None, "batch_id", "batch_index", postgresql_where=text("batch_id IS NOT NULL")),
        Index("ix_jobs_erasing", "id", postgresql_where=text("erasing")),
        # Room on each page, so that a new progress is written beside the old one.
        {"postgresql_with": {"fillfactor": 80}},
    )


class StepRow(Base):
    """One (job, stage, part): the unit that a worker claims."""

    __tablename__ = "steps"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    stage: Mapped[str]
    part: Mapped[int]
    parts: Mapped[int]
    queue: Mapped[str]
    state: Mapped[str] = mapped_column(server_default=StepState.READY)
    attempt: Mapped[int] = mapped_column(server_default="0")
    """Number of claims: the fencing token. It never decreases."""
    losses: Mapped[int] = mapped_column(server_default="0")
    """Number of workers that died or fell silent while they held the step."""
    failures: Mapped[int] = mapped_column(server_default="0")
    store_failures: Mapped[int] = mapped_column(server_default="0")
    """Number of transient errors that were retried."""
    worker: Mapped[str | None]
    """The worker that holds the step, or held it last."""
    lease_until: Mapped[datetime | None]
    available_at: Mapped[datetime | None]
    """When a waiting step becomes ready."""
    published_at: Mapped[datetime | None]
    """When its message was sent; None if it must be sent."""
    progress: Mapped[float] = mapped_column(server_default="0")
    output_key: Mapped[str | None]
    blobs: Mapped[list[str] | None]
    """Keys of every artifact that it uses or has made: its upload, its output, what that refers
    to. Each is noted before it is written, so that erasing a job misses none."""
    error: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("job_id", "stage", "part"),
        CheckConstraint(_one_of("state", StepState), name="state"),
        CheckConstraint("queue IN ('cpu', 'gpu')", name="queue"),
        CheckConstraint("part >= 0 AND part < parts", name="part"),
        CheckConstraint("(state = 'done') = (output_key IS NOT NULL)", name="output"),
        CheckConstraint("state <> 'running' OR lease_until IS NOT NULL", name="lease"),
        # Not on lease_until: a heartbeat then changes no index, so Postgres updates in place.
        Index("ix_steps_running", "job_id", postgresql_where=text("state = 'running'")),
        Index(
            "ix_steps_unsent",
            "id",
            postgresql_where=text("state = 'ready' AND published_at IS NULL"),
        ),
        Index("ix_steps_ready", "queue", "published_at", postgresql_where=text("state = 'ready'")),
        Index("ix_steps_waiting", "available_at", postgresql_where=text("state = 'waiting'")),
        # For statistics, and to see who worked lately.
        Index(None, "finished_at"),
        Index("ix_steps_blobs", "blobs", postgresql_using="gin"),
        {"postgresql_with": {"fillfactor": 70}},
    )


class ResultRow(Base):
    """The result of a completed job, written in the transaction that completes it."""

    __tablename__ = "results"

    job_id: Mapped[UUID] = mapped_column(
        ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True
    )
    body: Mapped[Any] = mapped_column(JSON)
    """json, not jsonb: keys keep their order and text may hold any character."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class WorkerRow(Base):
    """A worker process that says that it lives."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(primary_key=True)
    queue: Mapped[str]
    host: Mapped[str]
    pid: Mapped[int]
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    seen_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (Index(None, "queue", "seen_at"),)


class ClientRow(Base):
    """A program that may ask for tokens: its name, what it may do, and the hash of its secret."""

    __tablename__ = "clients"

    id: Mapped[str] = mapped_column(primary_key=True)
    """Owner of the jobs that it submits, and the ``sub`` of its tokens."""
    name: Mapped[str]
    secret_hash: Mapped[str]
    """argon2id, never the secret."""
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    revoked_at: Mapped[datetime | None]


class RevokedTokenRow(Base):
    """A token that is refused although it has not expired yet."""

    __tablename__ = "revoked_tokens"

    jti: Mapped[str] = mapped_column(primary_key=True)
    expires_at: Mapped[datetime]
    """After this the row is of no use."""


class IdempotencyRow(Base):
    """What a request with an ``Idempotency-Key`` made, so that its repetition makes nothing."""

    __tablename__ = "idempotency_keys"

    owner: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str]
    """SHA-256 of the address and the body of the request."""
    resource: Mapped[UUID]
    """The job or the batch that it made."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (Index(None, "created_at"), Index(None, "resource"))


class UsageRow(Base):
    """Seconds of audio that an owner had worked on in one day (UTC)."""

    __tablename__ = "usage"

    owner: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    audio_seconds: Mapped[float] = mapped_column(server_default="0")


class DeliveryRow(Base):
    """A report on a job's end to its ``callback_url``: written with the end, sent later."""

    __tablename__ = "deliveries"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    """The event's id: the same for every attempt, so that receivers can tell repetitions."""
    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    event: Mapped[str]
    """``job.completed``, ``job.failed`` or ``job.cancelled``."""
    state: Mapped[str] = mapped_column(server_default=DeliveryState.PENDING)
    attempts: Mapped[list[dict[str, Any]]] = mapped_column(server_default=text("'[]'::jsonb"))
    """What came of each attempt: ``at``, ``status`` or ``error``, ``ms``."""
    due_at: Mapped[datetime] = mapped_column(server_default=func.now())
    """When it is sent next; while somebody sends it, when that is given up."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (
        UniqueConstraint("job_id"),
        CheckConstraint(_one_of("state", DeliveryState), name="state"),
        Index("ix_deliveries_due", "due_at", postgresql_where=text("state = 'pending'")),
    )


class DeletionRow(Base):
    """An artifact of a job that was erased: it goes, unless another job refers to it."""

    __tablename__ = "deletions"

    owner: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


def ask_for_tables(engine: Engine) -> None:
    """Raise SQLAlchemy's error unless every column is there that this version knows."""
    with engine.connect() as connection:
        for table in Base.metadata.sorted_tables:
            connection.execute(select(table).limit(0))
