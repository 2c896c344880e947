"""``emotion-clf predict``: the whole pipeline in this process."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import IO, Any, Final

import click

from emotion_clf.cli.output import sink
from emotion_clf.cli.pipeline_options import chosen_options, pipeline_options
from emotion_clf.cli.progress import progress
from emotion_clf.cli.render import render
from ml.emotion.classify import verify
from ml.errors import OptionInvalid
from ml.pipeline import Runner
from ml.requirements import require
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
@click.option(
    "--redacted-audio",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the recording there, as WAV, with what is redacted silenced.",
)
@pipeline_options
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
def command(
    stdin: str | None,
    url: str | None,
    file: Path | None,
    text: str | None,
    form: str,
    output: Path | None,
    config: Path | None,
    redacted_audio: Path | None,
    quiet: bool,
    **chosen: Any,
) -> None:
    """Analyse one link, file or text; `-` reads text from stdin."""
    given = [value for value in (stdin, url, file, text) if value is not None]
    if len(given) != 1 or stdin not in (None, "-"):
        raise click.UsageError("Give one of --url, --file, --text, or `-` for text on stdin.")
    timed = file is not None or url is not None
    for written in (output, redacted_audio):
        _check_output(written, file)
    _check_audio(redacted_audio, output)
    _check_times(form, redacted_audio, timed=timed)
    options = chosen_options(config, chosen, redact_audio=redacted_audio is not None)
    source = _source(url, file, text, options.source.max_characters)
    # What is missing or damaged must not cost a download and a transcription.
    require(options, source.kind)
    verify(options.classification)
    with sink(output) as opened:
        with progress(quiet) as report:
            analysis = Runner(options, progress=report).run(source, redacted_audio=redacted_audio)
        _write(analysis, form, opened)


def _check_output(output: Path | None, file: Path | None) -> None:
    """Refuse to write over what is read."""
    if output and file and output.exists() and file.exists() and output.samefile(file):
        raise click.UsageError(f"{output} is the recording itself; name another file.")


def _check_audio(redacted_audio: Path | None, output: Path | None) -> None:
    """Refuse before the work a place where the recording could not be written after it."""
    if redacted_audio is None:
        return
    if output and redacted_audio.resolve() == output.resolve():
        raise click.UsageError("--output and --redacted-audio are the same file.")
    folder = redacted_audio.resolve().parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise click.UsageError(f"{redacted_audio} cannot be written.")


def _check_times(form: str, redacted_audio: Path | None, *, timed: bool) -> None:
    """Refuse before the work what a text cannot give after it."""
    if form in _SUBTITLES and not timed:
        raise OptionInvalid(
            "Subtitles need times, and a text has none.",
            hint="Choose table, json or csv for the result of a text.",
        )
    if redacted_audio and not timed:
        raise OptionInvalid(
            "A text has no audio to redact.", hint="Leave --redacted-audio out for a text."
        )


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
