"""An analysis as a table for people."""

from __future__ import annotations

from typing import IO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ml.results import Analysis, Segment

_COLOURS = {
    "happiness": "yellow",
    "sadness": "blue",
    "anger": "red",
    "fear": "magenta",
    "surprise": "cyan",
    "disgust": "green",
    "neutral": "white",
}
_WIDTH_WITHOUT_TERMINAL = 110
_BAR = 30


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to the command line, as every other way of writing does."""
        raise  # noqa: PLE0704 (called while the error is handled)


def render(analysis: Analysis, file: IO[str]) -> None:
    """Print the transcript with its emotions, then the summary."""
    width = None if file.isatty() else _WIDTH_WITHOUT_TERMINAL
    console = _Console(file=file, width=width, highlight=False)
    if analysis.segments:
        console.print(_transcript(analysis))
        _print_summary(console, analysis)
    for note in analysis.notes:
        console.print(f"Note: {note}")


def clock(seconds: float) -> str:
    """Return a time as 1:02:03.4, without the hours where there are none."""
    tenths = round(seconds * 10)
    hours, rest = divmod(tenths, 36_000)
    minutes, tenths = divmod(rest, 600)
    short = f"{minutes}:{tenths / 10:04.1f}"
    return f"{hours}:{short.zfill(7)}" if hours else short


def _transcript(analysis: Analysis) -> Table:
    timed = any(segment.start is not None for segment in analysis.segments)
    spoken = any(segment.speaker is not None for segment in analysis.segments)
    table = Table(box=None, pad_edge=False, header_style="bold")
    if timed:
        table.add_column("from", justify="right", no_wrap=True)
        table.add_column("to", justify="right", no_wrap=True)
    if spoken:
        table.add_column("speaker", no_wrap=True)
    table.add_column("sentence", ratio=1)
    for name in ("emotion", "sub-emotion", "intensity"):
        table.add_column(name, no_wrap=True)
    table.add_column("sure", justify="right", no_wrap=True)
    for segment in analysis.segments:
        table.add_row(*_row(segment, timed, spoken))
    return table


def _row(segment: Segment, timed: bool, spoken: bool) -> list[Text]:
    start, end = segment.start or 0.0, segment.end or 0.0
    colour = _COLOURS[segment.emotion]
    sure = f"{segment.confidence:.0%}{'?' if segment.low_confidence else ' '}"
    return [
        *([Text(clock(start)), Text(clock(end))] if timed else []),
        *([Text(segment.speaker or "")] if spoken else []),
        _said(segment),
        Text(segment.emotion, style=colour),
        Text(segment.sub_emotion, style=colour),
        Text(segment.intensity),
        Text(sure),
    ]


def _said(segment: Segment) -> Text:
    said = Text(segment.text)
    if segment.original_text:
        said.append(f"\n{segment.original_text}", style="dim")
    return said


def _print_summary(console: Console, analysis: Analysis) -> None:
    summary = analysis.summary
    sentences = f"{summary.segments} sentence{'s' if summary.segments > 1 else ''}"
    spoken = f", {summary.speech_seconds:.1f} s of speech" if analysis.duration else ""
    console.print(f"\n{sentences}{spoken}, mostly {summary.dominant_emotion}")
    for emotion, share in sorted(summary.emotions.items(), key=lambda item: -item[1]):
        bar = "█" * round(share * _BAR)
        line = Text(f"  {emotion:<10}{share:>5.0%} ")
        line.append(bar, style=_COLOURS[emotion])
        console.print(line)
    for speaker in summary.speakers:
        spoke = f"{speaker.speech_seconds:.1f} s"
        console.print(f"  {speaker.speaker}: {spoke}, mostly {speaker.dominant_emotion}")
    if analysis.duration and len(summary.timeline) > 1:
        line = Text("  timeline  ")
        for section in summary.timeline:
            line.append("█", style=_COLOURS[section.emotion])
        console.print(line)
    if any(segment.low_confidence for segment in analysis.segments):
        console.print("  (a question mark: less sure than the threshold)", style="dim")
