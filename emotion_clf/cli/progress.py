"""Progress on stderr: a bar on a terminal, elsewhere a line a stage and now and then another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

Report = Callable[[str, float, str], None]
"""Called with the stage, the fraction 0..1 of the whole, and a few words."""

_DETAIL_SECONDS = 2.0


@contextmanager
def progress(quiet: bool = False) -> Iterator[Report]:
    """Yield the function that reports progress."""
    console = Console(stderr=True, quiet=quiet)
    if console.is_terminal:
        with _bar(console) as report:
            yield report
    else:
        yield _lines(console)


@contextmanager
def _bar(console: Console) -> Iterator[Report]:
    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %  {task.fields[detail]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=1.0, detail="")
        yield lambda stage, fraction, detail: bar.update(
            task, description=stage, completed=fraction, detail=detail
        )


def _lines(console: Console) -> Report:
    stages: list[str] = []
    next_detail = 0.0

    def report(stage: str, fraction: float, detail: str) -> None:
        nonlocal next_detail
        now = time.monotonic()
        entered = bool(stage) and stage not in stages
        if entered:
            stages.append(stage)
        elif not detail or now < next_detail:
            return
        if detail:
            next_detail = now + _DETAIL_SECONDS
        console.print(
            f"{fraction:4.0%}  {stage:<10}  {detail}".rstrip(), highlight=False, markup=False
        )

    return report
