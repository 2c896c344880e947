"""Progress on stderr: a bar on a terminal, a line a stage elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

Report = Callable[[str, float, str], None]
"""Called with the stage, the fraction 0..1 of the whole, and a few words."""


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

    def report(stage: str, fraction: float, detail: str) -> None:
        if stage and stage not in stages:
            stages.append(stage)
            console.print(f"{fraction:4.0%}  {stage}", highlight=False)

    return report
