"""``python -m chaos.run``: does everything that can go wrong to a real service, and counts.

Prints one table; ends with 1 where a promise did not hold, or where it held although the
mechanism behind it was switched off.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from durability.cluster import Cluster
from durability.outcome import Outcome
from durability.scenarios import BOUNDED, CONTROLS, FULL, PROMISES, SEED, Group, Scale
from rich.console import Console
from rich.table import Table

from emotion_clf.local.servers import Postgres, Redis

COLUMNS = ("", "injected", "times", "jobs", "lost", "duplicated", "stuck", "p50 s", "p99 s", "")
console = Console(width=160)


def main() -> int:
    """Run the scenarios that were asked for; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bounded", action="store_true", help="small numbers, as in the tests")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="such as T4 'T7 redis'")
    parser.add_argument("--directory", type=Path, help="keep logs and histories here")
    options = parser.parse_args()
    scale = BOUNDED if options.bounded else FULL
    console.print(f"seed {options.seed}")
    with _cluster(options.directory) as cluster:
        outcomes = list(_outcomes(cluster, scale, options.seed, options.only))
    console.print(table(outcomes))
    return 0 if outcomes and all(outcome.as_expected for outcome in outcomes) else 1


def table(outcomes: Sequence[Outcome]) -> Table:
    """Return one row for each outcome."""
    shown = Table(*COLUMNS)
    for outcome in outcomes:
        counts = (outcome.times, outcome.jobs, outcome.lost, outcome.duplicated, outcome.stuck)
        seconds = ["" if s is None else f"{s:.1f}" for s in (outcome.p50, outcome.p99)]
        verdict = f"fails: {', '.join(outcome.failures)}" if outcome.failures else "holds"
        if not outcome.as_expected:
            verdict = f"[bold red]{verdict}"
        shown.add_row(outcome.name, outcome.injected, *map(str, counts), *seconds, verdict)
    return shown


@contextmanager
def _cluster(directory: Path | None) -> Iterator[Cluster]:
    if directory:
        directory.mkdir(parents=True, exist_ok=True)
    kept = nullcontext(str(directory)) if directory else tempfile.TemporaryDirectory()
    with kept as name:
        home = Path(name).resolve()
        servers = Postgres(home / "postgres"), Redis(home / "redis")
        for server in servers:
            server.start()
        cluster = Cluster(home, *servers)
        try:
            cluster.start("dispatcher", "cpu", "gpu-1", "gpu-2", "api")
            yield cluster
        finally:
            cluster.close()
            for server in servers:
                server.stop()


def _outcomes(
    cluster: Cluster, scale: Scale, seed: int, only: Sequence[str] | None
) -> Iterator[Outcome]:
    for group in (PROMISES, *CONTROLS):
        chosen = [name for name in group.scenarios if not only or name in only]
        if chosen:
            with group.applied(cluster):
                for name in chosen:
                    yield _outcome(cluster, group, name, scale, seed)


def _outcome(cluster: Cluster, group: Group, name: str, scale: Scale, seed: int) -> Outcome:
    cluster.idle()
    began = time.monotonic()
    try:
        outcome = group.scenarios[name](cluster, scale, seed)
    except Exception as error:
        traceback.print_exc()
        outcome = Outcome(name, "", 0, 0, 0, 0, 0, criteria={f"did not end: {error}": False})
    mark = "as expected" if outcome.as_expected else f"NOT as expected: {outcome.failures}"
    console.print(f"{outcome.name}: {mark}, {time.monotonic() - began:.0f} s")
    return outcome


if __name__ == "__main__":
    sys.exit(main())
