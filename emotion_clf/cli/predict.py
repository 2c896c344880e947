"""``emotion-clf predict``: the whole pipeline in this process."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Final

import click

from emotion_clf.cli.output import sink
from emotion_clf.cli.progress import progress
from emotion_clf.cli.render import render
from ml.emotion.classify import verify
from ml.errors import OptionInvalid
from ml.options import PipelineOptions
from ml.pipeline import Runner
from ml.results import Analysis
from ml.stage import Input

_SUBTITLES: Final = ("srt", "vtt")
_BYTES_PER_CHARACTER: Final = 4
"""The most that UTF-8 takes."""


@click.command()
@click.argument("stdin", required=False, metavar="[-]")
@click.option("--url", help="A YouTube link, or any link to a recording.")
@click.option("--file", type=click.Path(path_type=Path), help="An audio or video file.")
@click.option("--text", help="Text, one or more sentences.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv", "srt", "vtt"]),
    default="table",
    show_default=True,
)
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), help="Instead of stdout."
)
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="A config.yaml.")
@click.option("--whisper-model", help="A size, a directory or a Hub name.  [default: tiny.en]")
@click.option(
    "--confidence-threshold", type=float, help="Mark less sure predictions.  [default: 0.65]"
)
@click.option("--timeline-bins", type=int, help="Stretches in the timeline.  [default: 20]")
@click.option(
    "--features/--no-features", default=None, help="Use linguistic features.  [default: on]"
)
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
def command(
    stdin: str | None,
    url: str | None,
    file: Path | None,
    text: str | None,
    form: str,
    output: Path | None,
    config: Path | None,
    whisper_model: str | None,
    confidence_threshold: float | None,
    timeline_bins: int | None,
    features: bool | None,
    quiet: bool,
) -> None:
    """Analyse one link, file or text; `-` reads text from stdin."""
    given = [value for value in (stdin, url, file, text) if value is not None]
    if len(given) != 1 or stdin not in (None, "-"):
        raise click.UsageError("Give one of --url, --file, --text, or `-` for text on stdin.")
    _check_output(form, output, file, timed=file is not None or url is not None)
    options = _options(
        config,
        {
            "transcription": {"model": whisper_model},
            "classification": {
                "confidence_threshold": confidence_threshold,
                "features": features,
            },
            "summary": {"timeline_bins": timeline_bins},
        },
    )
    source = _source(url, file, text, options.source.max_characters)
    # A damaged checkpoint must not cost a download and a transcription.
    verify(options.classification)
    with sink(output) as opened:
        with progress(quiet) as report:
            analysis = Runner(options, progress=report).run(source)
        _write(analysis, form, opened)


def _check_output(form: str, output: Path | None, file: Path | None, *, timed: bool) -> None:
    """Refuse before the work what could not be written after it."""
    if form in _SUBTITLES and not timed:
        raise OptionInvalid(
            "Subtitles need times, and a text has none.",
            hint="Choose table, json or csv for the result of a text.",
        )
    if output and file and output.exists() and file.exists() and output.samefile(file):
        raise click.UsageError("--output is the recording itself; name another file.")


def _options(config: Path | None, overrides: Mapping[str, Mapping[str, object]]) -> PipelineOptions:
    """Return the settings of this machine with the options of the command line."""
    from app.settings import Settings

    chosen = {
        section: {key: value for key, value in values.items() if value is not None}
        for section, values in overrides.items()
    }
    return Settings.load(config).pipeline_options(chosen)


def _source(url: str | None, file: Path | None, text: str | None, max_characters: int) -> Input:
    if url is not None:
        return Input("url", url)
    if file is not None:
        return Input("file", str(file))
    if text is not None:
        return Input("text", os.fsencode(text).decode("utf-8", "replace"))
    # One byte more than the longest text that is accepted can have: enough to be refused.
    read = sys.stdin.buffer.read(max_characters * _BYTES_PER_CHARACTER + 1)
    return Input("text", read.decode("utf-8", "replace"))


def _write(analysis: Analysis, form: str, opened: IO[str]) -> None:
    if form == "table":
        render(analysis, opened)
        return
    from ml.export import export

    opened.write(export(analysis, form))  # type: ignore[arg-type]
