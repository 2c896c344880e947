"""What is done to the processes, drawn from a seed and written down before it begins."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from durability.cluster import SERVERS, Cluster, freeze, thaw

WORKERS = ("cpu", "gpu-1", "gpu-2")
PROCESSES = ("api", *WORKERS, "dispatcher")
TARGETS = (*PROCESSES, *SERVERS)
LEASE_SECONDS = 3.0
PAUSE_LEASES = (5 / 60, 90 / 60)
"""How long processes are stopped: 5 to 90 seconds where a lease is 60."""
RUNNING = "SELECT count(*) FROM steps WHERE state = 'running'"


@dataclass(frozen=True)
class Injection:
    """One thing that is done to one process."""

    action: str
    target: str
    after: float
    """Seconds to wait before it, once there is work to disturb."""
    seconds: float
    """How long it lasts."""


@dataclass(frozen=True)
class Mix:
    """How often each thing is done."""

    kills: int
    """SIGKILL, in equal shares to every target."""
    pauses: int = 0
    """SIGSTOP, and SIGCONT after a while."""
    restarts: int = 0
    """SIGTERM."""
    black_holes: int = 0
    """Postgres or Redis falls silent for a while, with its connections open."""

    def __str__(self) -> str:
        counts = {
            "SIGKILL": self.kills,
            "SIGSTOP": self.pauses,
            "SIGTERM": self.restarts,
            "black hole": self.black_holes,
        }
        return " + ".join(f"{count} {name}" for name, count in counts.items() if count)


def plan(seed: int, mix: Mix) -> list[Injection]:
    """Return what a seed comes to: the same every time."""
    generator = random.Random(seed)
    stops = [LEASE_SECONDS * leases for leases in PAUSE_LEASES]

    def drawn(action: str, count: int, targets: Sequence[str], low: float, high: float) -> list:
        return [
            Injection(
                action,
                targets[n % len(targets)],
                generator.uniform(0.0, 1.0),
                generator.uniform(low, high),
            )
            for n in range(count)
        ]

    planned = [
        *drawn("kill", mix.kills, TARGETS, 0.0, 1.5),
        *drawn("stop", mix.pauses, PROCESSES, *stops),
        *drawn("restart", mix.restarts, PROCESSES, 0.0, 0.0),
        *drawn("silence", mix.black_holes, SERVERS, 4.0, 8.0),
    ]
    generator.shuffle(planned)
    return planned


def unleash(
    cluster: Cluster, planned: Sequence[Injection], before_each: Callable[[], None]
) -> list[float]:
    """Do all of it, each to a target that is at its work while steps run; return when."""
    moments = []
    for injection in planned:
        before_each()
        cluster.until(lambda i=injection: _worth_it(cluster, i.target), seconds=90)
        time.sleep(injection.after)
        moments.append(time.time())
        ACTIONS[injection.action](cluster, injection)
        cluster.tend()
    return moments


def _worth_it(cluster: Cluster, target: str) -> bool:
    return (target in SERVERS or target in cluster.up()) and cluster.count(RUNNING) > 0


def _kill(cluster: Cluster, injection: Injection) -> None:
    cluster.kill(injection.target, back_after=injection.seconds)


def _stop(cluster: Cluster, injection: Injection) -> None:
    stopped = freeze(cluster.processes[injection.target])
    time.sleep(injection.seconds)
    thaw(stopped)


def _restart(cluster: Cluster, injection: Injection) -> None:
    cluster.processes[injection.target].signal("SIGTERM")


def _silence(cluster: Cluster, injection: Injection) -> None:
    proxy = cluster.proxies[injection.target]
    proxy.pause()
    time.sleep(injection.seconds)
    proxy.resume()


ACTIONS: dict[str, Callable[[Cluster, Injection], None]] = {
    "kill": _kill,
    "stop": _stop,
    "restart": _restart,
    "silence": _silence,
}
