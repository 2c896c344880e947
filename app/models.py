"""The tables. Alembic compares them with the migrations in a test."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    MetaData,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from app.jobs import JobStatus, StepState


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
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB(none_as_null=True),
    }


def _one_of(column: str, values: type[JobStatus] | type[StepState]) -> str:
    return f"{column} IN ({', '.join(repr(value.value) for value in values)})"


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
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint(_one_of("status", JobStatus), name="status"),
        CheckConstraint("kind IN ('url', 'upload', 'text')", name="kind"),
        CheckConstraint("progress BETWEEN 0 AND 1", name="progress"),
        CheckConstraint("(status = 'failed') = (error IS NOT NULL)", name="error"),
        Index(None, "owner", "created_at", "id"),
        Index(None, "owner", "status", "created_at", "id"),
        Index(None, "status", "created_at"),
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
        Index("ix_steps_ready", "queue", "published_at", postgresql_where=text("state = 'ready'")),
        Index("ix_steps_waiting", "available_at", postgresql_where=text("state = 'waiting'")),
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
