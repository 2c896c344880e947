"""Progress of a batch on stderr: a bar on a terminal, elsewhere a line an item."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn

from emotion_clf.batch.items import Outcome

_LINE_SECONDS = 10.0
"""How often a line speaks of an item that takes long."""


class BatchProgress:
    """How far all items are together."""

    def __init__(self, total: int, done: int, failed: int, console: Console) -> None:
        self._console = console
        self._total = total
        self._before = self._done = done
        self._failed = failed
        self._began = time.monotonic()
        self._next_line = self._began + _LINE_SECONDS

    def working(self, source: str, stage: str, fraction: float, detail: str) -> None:
        """Say what is being done."""
        if time.monotonic() >= self._next_line:
            self._print(f"{stage} {fraction:.0%}", source)

    def ended(self, outcome: Outcome) -> None:
        """Count an item that has ended."""
        self._done += 1
        self._failed += outcome.error is not None
        self._print(outcome.error.code if outcome.error else "completed", outcome.source)

    def counts(self) -> str:
        """Return how many are done and have failed, and how long the rest may take."""
        failed = f", {self._failed} failed" if self._failed else ""
        return f"{self._done} of {self._total}{failed}{self._left()}"

    def _left(self) -> str:
        ended = self._done - self._before
        if not ended or self._done == self._total:
            return ""
        each = (time.monotonic() - self._began) / ended
        return f", {_duration(each * (self._total - self._done))} left"

    def _print(self, what: str, source: str) -> None:
        self._next_line = time.monotonic() + _LINE_SECONDS
        self._console.print(
            f"{self.counts()}: {what}  {source}", highlight=False, markup=False, soft_wrap=True
        )


class _Bar(BatchProgress):
    """The same as one bar that is drawn anew."""

    def __init__(self, total: int, done: int, failed: int, console: Console) -> None:
        super().__init__(total, done, failed, console)
        columns = (
            TextColumn("{task.fields[counts]}"),
            BarColumn(),
            TextColumn("{task.description}"),
        )
        self.bar = Progress(*columns, console=console, transient=True)
        self._task = self.bar.add_task("", total=total, completed=done, counts=self.counts())

    def working(self, source: str, stage: str, fraction: float, detail: str) -> None:
        self.bar.update(
            self._task,
            description=escape(f"{stage} {fraction:.0%}  {source}  {detail}"),
            completed=self._done + fraction,
            counts=self.counts(),
        )

    def ended(self, outcome: Outcome) -> None:
        self._done += 1
        self._failed += outcome.error is not None
        self.bar.update(self._task, completed=self._done, counts=self.counts())


@contextmanager
def batch_progress(
    total: int, *, done: int, failed: int, quiet: bool = False
) -> Iterator[BatchProgress]:
    """Yield what shows the progress of ``total`` items, of which some had ended before."""
    console = Console(stderr=True, quiet=quiet)
    if not console.is_terminal:
        yield BatchProgress(total, done, failed, console)
        return
    shown = _Bar(total, done, failed, console)
    with shown.bar:
        yield shown


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
