"""The one Celery task: run a step."""

from __future__ import annotations

from functools import cache
from typing import Any

import structlog

from app.db import create_db_engine
from app.jobs import TASK
from app.settings import Settings
from app.storage import open_store
from app.stores.steps import StepStore
from workers.celery_app import app
from workers.runner import StepRunner

log = structlog.get_logger(__name__)


@cache
def _runner() -> StepRunner:
    """Return the runner of this process, with its own connections."""
    settings = Settings.load()
    # One connection for the step, one for its lease.
    engine = create_db_engine(settings.database_url, pool_size=2)
    steps = StepStore(engine, lease_seconds=settings.jobs.lease_seconds, quotas=settings.quotas)
    return StepRunner(settings, steps, open_store(settings))


@app.task(name=TASK, bind=True)  # type: ignore[untyped-decorator]
def run_step(self: Any, step_id: int) -> None:
    """Run the step with this number, unless somebody else has it or it has ended."""
    try:
        _runner().run(step_id, self.request.hostname)
    except Exception:
        # Celery would quote it, and what it quotes may be anything: its logger is off.
        log.exception("task.failed", step=step_id)
        raise
