"""Writes are accepted from whoever held a step once."""

from app.models import StepRow
from app.step_store import StepStore

StepStore._fence = lambda self, claim: (StepRow.id == claim.step_id,)  # type: ignore[method-assign]
