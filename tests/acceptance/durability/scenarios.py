"""All scenarios, how large each is, and what must be switched off for the controls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from durability import deaths, outages, soak
from durability.cluster import Cluster
from durability.nemesis import Mix
from durability.outcome import Outcome

SEED = 4


@dataclass(frozen=True)
class Scale:
    """How often things are done."""

    handovers: int
    failpoint_rounds: int
    """Two deaths each; every one of the four points is passed in half of them."""
    zombies: int
    jobs: int
    mix: Mix
    good: int
    drains: int
    """By pool."""
    outages: int
    outage_seconds: float
    crashes: int
    flushes: int


FULL = Scale(
    handovers=20,
    failpoint_rounds=100,
    zombies=10,
    jobs=500,
    mix=Mix(kills=105, pauses=20, restarts=10, black_holes=6),
    good=20,
    drains=30,
    outages=4,
    outage_seconds=20.0,
    crashes=10,
    flushes=5,
)
BOUNDED = Scale(
    handovers=2,
    failpoint_rounds=4,
    zombies=1,
    jobs=30,
    mix=Mix(kills=7, pauses=1),
    good=10,
    drains=1,
    outages=1,
    outage_seconds=6.0,
    crashes=2,
    flushes=3,
)

Scenario = Callable[[Cluster, Scale, int], Outcome]


@dataclass(frozen=True)
class Group:
    """Scenarios that run under the same faults."""

    scenarios: Mapping[str, Scenario]
    faulty: Sequence[str] = ()
    """Processes that run with the faults."""
    faults: Sequence[str] = ()
    settings: Mapping[str, str] = field(default_factory=dict)

    def applied(self, cluster: Cluster) -> AbstractContextManager[None]:
        """Run the processes with the faults meanwhile."""
        if not self.faulty:
            return nullcontext()
        return cluster.replaced(*self.faulty, faults=self.faults, **self.settings)


PROMISES = Group(
    {
        "T1": lambda c, n, seed: deaths.handovers(c, n.handovers),
        "T2": lambda c, n, seed: deaths.failpoints(c, n.failpoint_rounds, seed),
        "T3": lambda c, n, seed: deaths.zombies(c, n.zombies),
        "T4": lambda c, n, seed: soak.soak(c, n.jobs, n.mix, seed),
        "T5": lambda c, n, seed: deaths.poison(c, n.good),
        "T6": lambda c, n, seed: deaths.drains(c, n.drains),
        "T7 redis": lambda c, n, seed: outages.black_holes(c, "redis", n.outages, n.outage_seconds),
        "T7 postgres": lambda c, n, seed: outages.black_holes(
            c, "postgres", n.outages, n.outage_seconds
        ),
        "T8": lambda c, n, seed: outages.crashes(c, n.crashes, seed),
        "flush": lambda c, n, seed: outages.flushes(c, n.flushes),
    }
)
WITHOUT_RECOVERY = Group(
    {
        "T1 control": lambda c, n, seed: deaths.handovers(c, 1, control=True),
        "T4 control": lambda c, n, seed: soak.unrevived(c),
        "flush control": lambda c, n, seed: outages.unnoticed_flush(c),
    },
    faulty=("dispatcher",),
    faults=("no_revival", "no_republishing"),
)
WITHOUT_GUARDS = Group(
    {
        "T3 control": lambda c, n, seed: deaths.zombies(c, 1, control=True),
        "T5 control": lambda c, n, seed: deaths.uncapped_poison(c),
    },
    # One restart for two controls: neither guard has a part in what the other one prevents.
    faulty=("dispatcher", "gpu-1", "gpu-2"),
    faults=("no_fence",),
    settings={"EMOTION_CLF_JOBS__MAX_ATTEMPTS": "1000"},
)
WITHOUT_CARE = Group(
    # What clients and operators contribute is switched off by the scenarios themselves.
    {
        "T2 control": lambda c, n, seed: deaths.unrepeatable(c),
        "T8 control": lambda c, n, seed: outages.undurable_crash(c),
    }
)
CONTROLS = (WITHOUT_RECOVERY, WITHOUT_GUARDS, WITHOUT_CARE)
