"""A checkpoint's figures as a table for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ml.evaluation.report import rows

_WIDTH_WITHOUT_TERMINAL = 130
_COLOURS = {"aim": "green", "goal": "yellow", "below": "red", "": ""}


def render(metrics: Mapping[str, Any], file: IO[str]) -> None:
    """Print the table of ``metrics``, what ``ml.evaluation.evaluate.evaluate`` returned."""
    width = None if file.isatty() else _WIDTH_WITHOUT_TERMINAL
    console = Console(file=file, width=width, highlight=False)
    made, texts = metrics["checkpoint"], metrics["texts"]
    level = f"{metrics['bootstrap']['level']:.0%} interval"
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("measure")
    for name in ("value", level, "majority", "TF-IDF", "at least", "aim"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows(metrics):
        value = Text(row.value, style=_COLOURS[row.verdict])
        table.add_row(row.measure, value, row.interval, row.majority, row.tfidf, row.least, row.aim)
    console.print(f"{made['name']} {made['version']}\n")
    console.print(table)
    console.print(
        f"\n{texts['comments']} comments, {texts['single_base_comments']} with one base emotion; "
        f"{texts['lines']} lines of {len(texts['transcripts'])} transcripts."
    )
