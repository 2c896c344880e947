"""The fence around a claimed step: what its holder writes counts only while the step is its own.

A claim's attempt number is the token: every write carries it, and an update that finds another
number, or a step that is no longer running, changes nothing.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, CursorResult, select, update

from app.errors import LeaseLost
from app.jobs import Claim, StepState
from app.models import StepRow


def fence(claim: Claim) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions that hold while the step is this claim's."""
    return (
        StepRow.id == claim.step_id,
        StepRow.attempt == claim.attempt,
        StepRow.state == StepState.RUNNING,
    )


def change(connection: Connection, claim: Claim, **values: Any) -> None:
    """Write to a claimed step; raise :class:`app.errors.LeaseLost` where it is another's."""
    changed: CursorResult[Any] = connection.execute(
        update(StepRow).where(*fence(claim)).values(**values)
    )
    if changed.rowcount != 1:
        raise lost(claim)


def check(connection: Connection, claim: Claim) -> None:
    """Raise :class:`app.errors.LeaseLost` where a claimed step is another's."""
    if connection.execute(select(StepRow.id).where(*fence(claim))).one_or_none() is None:
        raise lost(claim)


def is_done(connection: Connection, claim: Claim, output_key: str) -> bool:
    """Whether this very claim has finished already, and only the reply was lost."""
    query = select(StepRow.id).where(
        StepRow.id == claim.step_id,
        StepRow.attempt == claim.attempt,
        StepRow.state == StepState.DONE,
        StepRow.output_key == output_key,
    )
    return connection.execute(query).one_or_none() is not None


def lost(claim: Claim) -> LeaseLost:
    """Return the error of a worker whose step has gone to another."""
    return LeaseLost(f"step {claim.step_id} is not attempt {claim.attempt}'s any more")
