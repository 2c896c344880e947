"""What a scenario found, and whether that is what was promised."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

from durability.history import completed, done_more_than_once, open_jobs

if TYPE_CHECKING:
    from durability.cluster import Cluster

STUCK_SECONDS = 120
"""What is left when no job has ended for so long counts as stuck."""


@dataclass(frozen=True)
class Outcome:
    """One row of the table."""

    name: str
    injected: str
    times: int
    jobs: int
    """Those that were accepted, and must end well."""
    lost: int
    duplicated: int
    """Effects that happened twice, and jobs that were made twice."""
    stuck: int
    recovery: Sequence[float] = ()
    """Seconds; from what to what, each scenario says."""
    criteria: Mapping[str, bool] = field(default_factory=dict)
    """What else was promised, and whether it held."""
    control: str | None = None
    """What must fail, because the mechanism behind it was switched off."""

    @property
    def failures(self) -> list[str]:
        """What did not hold."""
        counts = {"lost": self.lost, "duplicated": self.duplicated, "stuck": self.stuck}
        found = [name for name, count in counts.items() if count]
        return found + [name for name, held in self.criteria.items() if not held]

    @property
    def as_expected(self) -> bool:
        """Whether everything held; of a control, all but what must fail."""
        return self.failures == ([self.control] if self.control else [])

    @property
    def p50(self) -> float | None:
        return statistics.median(self.recovery) if self.recovery else None

    @property
    def p99(self) -> float | None:
        """The 99th percentile by nearest rank: the longest, below a hundred recoveries."""
        ranked = sorted(self.recovery)
        return ranked[-(-99 * len(ranked) // 100) - 1] if ranked else None


def settle(cluster: Cluster, jobs: Sequence[UUID], seconds: float = STUCK_SECONDS) -> None:
    """Wait until all jobs have ended, or none has for so long; :func:`judge` counts what is left.

    So a long queue on a slow machine does not count as stuck while it is worked off.
    """
    left = len(jobs) + 1
    while 0 < (still := open_jobs(cluster, jobs)) < left:
        left = still
        cluster.reaches(lambda before=still: open_jobs(cluster, jobs) < before, seconds)


def judge(
    cluster: Cluster,
    name: str,
    *,
    injected: str,
    times: int,
    jobs: Sequence[UUID],
    made_twice: int = 0,
    recovery: Sequence[float] = (),
    criteria: Mapping[str, bool] | None = None,
    control: str | None = None,
) -> Outcome:
    """Hold what clients were told against what the database holds and what happened in it."""
    stuck = open_jobs(cluster, jobs)
    return Outcome(
        name,
        injected,
        times,
        jobs=len(jobs),
        lost=len(jobs) - completed(cluster, jobs) - stuck,
        duplicated=len(done_more_than_once(cluster)) + made_twice,
        stuck=stuck,
        recovery=recovery,
        criteria=criteria or {},
        control=control,
    )
