"""Reports on how jobs ended: which is due, what became of it.

Whoever sends a report moves its ``due_at`` ahead first. That is the lease: a sender that dies
is followed by another when it has run out, and one that comes back too late changes nothing,
because ``due_at`` is not its own any more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, RowMapping, case, func, select, update

from app.errors import NoFailedDelivery
from app.jobs import Delivery, DeliveryState, JobStatus, Kind
from app.models import DeliveryRow, JobRow, ResultRow

KEPT_ATTEMPTS = 20


class DeliveryFailure(StrEnum):
    """Why an attempt brought no answer, in words for the job's owner."""

    FORBIDDEN_ADDRESS = "forbidden_address"
    UNREACHABLE = "unreachable"
    TLS = "tls"
    """The certificate is not good for the host, or the handshake failed."""
    TIMEOUT = "timeout"
    INVALID_ANSWER = "invalid_answer"
    """What came back is not HTTP."""


@dataclass(frozen=True, slots=True)
class ClaimedDelivery:
    """A report that its claimer alone sends until the lease ends, and what it shall say."""

    id: UUID
    event: str
    attempts: tuple[Mapping[str, Any], ...]
    lease_until: datetime
    age_seconds: float
    """How long it is tried already."""
    url: str
    host: str
    """Host and port as the address writes them: what is counted as one receiver."""
    owner: str
    job_id: UUID
    batch_id: UUID | None
    kind: Kind
    title: str | None
    status: JobStatus
    error: Mapping[str, Any] | None
    ended_at: datetime
    result: Mapping[str, Any] | None
    """Where the report shall carry it, and there is one."""


_HOST = func.substring(func.lower(JobRow.callback_url), r"^https?://([^/?#]*)")
_CLAIMED = (
    select(
        DeliveryRow.id,
        DeliveryRow.event,
        DeliveryRow.attempts,
        DeliveryRow.due_at.label("lease_until"),
        func.extract("epoch", func.now() - DeliveryRow.created_at).label("age_seconds"),
        JobRow.callback_url.label("url"),
        _HOST.label("host"),
        JobRow.owner,
        DeliveryRow.job_id,
        JobRow.batch_id,
        JobRow.kind,
        JobRow.title,
        JobRow.status,
        JobRow.error,
        JobRow.finished_at.label("ended_at"),
        case((JobRow.callback_result, ResultRow.body)).label("result"),
    )
    .join(JobRow, JobRow.id == DeliveryRow.job_id)
    .outerjoin(ResultRow, ResultRow.job_id == DeliveryRow.job_id)
)


class DeliveryStore:
    """Reports as senders and owners see them. Safe to share between threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def claim(
        self,
        lease_seconds: float,
        busy_hosts: Collection[str] = (),
        busy_owners: Collection[str] = (),
    ) -> ClaimedDelivery | None:
        """Take the report that is due longest, but none to these hosts or of these owners.

        Returns None where there is none.
        """
        due = (
            select(DeliveryRow.id)
            .join(JobRow, JobRow.id == DeliveryRow.job_id)
            .where(DeliveryRow.state == DeliveryState.PENDING, DeliveryRow.due_at <= func.now())
            .where(~JobRow.erasing, _HOST.not_in(busy_hosts), JobRow.owner.not_in(busy_owners))
            .order_by(DeliveryRow.due_at)
            .limit(1)
            .with_for_update(of=DeliveryRow, skip_locked=True)
            .scalar_subquery()
        )
        take = (
            update(DeliveryRow)
            .where(DeliveryRow.id == due)
            .values(due_at=func.now() + timedelta(seconds=lease_seconds))
            .returning(DeliveryRow.id)
        )
        with self._engine.begin() as connection:
            taken = connection.execute(take).scalar_one_or_none()
            if taken is None:
                return None
            query = _CLAIMED.where(DeliveryRow.id == taken)
            return _claimed(connection.execute(query).mappings().one())

    def note(
        self,
        claimed: ClaimedDelivery,
        attempt: Mapping[str, Any],
        state: DeliveryState,
        *,
        retry_seconds: float = 0.0,
    ) -> bool:
        """Note what came of an attempt; a pending report is due again in ``retry_seconds``.

        Returns False where the lease has run out and the report is another sender's.
        """
        noted = (
            update(DeliveryRow)
            .where(DeliveryRow.id == claimed.id, DeliveryRow.state == DeliveryState.PENDING)
            .where(DeliveryRow.due_at == claimed.lease_until)
            .values(
                state=state,
                attempts=[*claimed.attempts, attempt][-KEPT_ATTEMPTS:],
                due_at=func.now() + timedelta(seconds=retry_seconds),
            )
        )
        with self._engine.begin() as connection:
            return connection.execute(noted).rowcount == 1

    def of_jobs(self, job_ids: Collection[UUID]) -> Mapping[UUID, Delivery]:
        """Return the reports on those of the jobs that have one."""
        query = select(
            DeliveryRow.job_id,
            DeliveryRow.id,
            DeliveryRow.event,
            DeliveryRow.state,
            DeliveryRow.attempts,
            DeliveryRow.due_at,
        ).where(DeliveryRow.job_id.in_(job_ids))
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return {
            job_id: Delivery(id_, event, DeliveryState(state), tuple(attempts), due_at)
            for job_id, id_, event, state, attempts, due_at in rows
        }

    def redeliver(self, job_id: UUID) -> None:
        """Have the failed report on a job sent again, with all the time of a new one.

        Raises :class:`app.errors.NoFailedDelivery`.
        """
        again = (
            update(DeliveryRow)
            .where(DeliveryRow.job_id == job_id, DeliveryRow.state == DeliveryState.FAILED)
            .values(state=DeliveryState.PENDING, due_at=func.now(), created_at=func.now())
        )
        with self._engine.begin() as connection:
            if not connection.execute(again).rowcount:
                raise NoFailedDelivery


def _claimed(row: RowMapping) -> ClaimedDelivery:
    values = dict(row)
    values["attempts"] = tuple(values["attempts"])
    values["age_seconds"] = float(values["age_seconds"])
    values["status"] = JobStatus(values["status"])
    return ClaimedDelivery(**values)
