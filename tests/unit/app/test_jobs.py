from __future__ import annotations

import itertools

import pytest

from app.jobs import (
    FIRST_STEP,
    JOB_TRANSITIONS,
    STEP_TRANSITIONS,
    JobError,
    JobStatus,
    StepState,
    before,
    terminal,
)
from ml.errors import WorkerLost
from ml.pipeline import plan


def test_every_state_is_in_the_tables() -> None:
    assert set(JOB_TRANSITIONS) == set(JobStatus)
    assert set(STEP_TRANSITIONS) == set(StepState)


def test_terminal_states() -> None:
    assert set(terminal(JOB_TRANSITIONS)) == {"completed", "failed", "cancelled"}
    assert set(terminal(STEP_TRANSITIONS)) == {"done", "failed", "cancelled"}


@pytest.mark.parametrize(
    ("earlier", "later"), list(itertools.product(JobStatus, JobStatus)), ids=lambda s: s.value
)
def test_before_is_the_inverse_of_the_table(earlier: JobStatus, later: JobStatus) -> None:
    assert (earlier in before(JOB_TRANSITIONS, later)) == (later in JOB_TRANSITIONS[earlier])


@pytest.mark.parametrize("kind", FIRST_STEP)
def test_first_step_agrees_with_the_pipeline(kind: str) -> None:
    first = plan(kind)[0]  # type: ignore[arg-type]
    assert FIRST_STEP[kind] == (first.name, first.queue)  # type: ignore[index]


def test_a_job_error_shows_what_the_user_may_know() -> None:
    error = JobError.of(WorkerLost())
    assert error.code == "worker.lost"
    assert error.message == WorkerLost.message
