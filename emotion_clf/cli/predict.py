"""``emotion-clf predict``: the whole pipeline in this process."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import click

from emotion_clf.cli.progress import progress
from emotion_clf.cli.render import render
from ml.results import Analysis
from ml.stage import Input


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
    source = _source(stdin, url, file, text)
    overrides: dict[str, dict[str, object]] = {
        "transcription": {"model": whisper_model},
        "classification": {
            "confidence_threshold": confidence_threshold,
            "features": features,
        },
        "summary": {"timeline_bins": timeline_bins},
    }
    with _sink(output) as sink:
        _write(_analyse(source, config, overrides, quiet), form, sink)


def _source(stdin: str | None, url: str | None, file: Path | None, text: str | None) -> Input:
    given = [value for value in (stdin, url, file, text) if value is not None]
    if len(given) != 1 or stdin not in (None, "-"):
        raise click.UsageError("Give one of --url, --file, --text, or `-` for text on stdin.")
    if url is not None:
        return Input("url", url)
    if file is not None:
        if not file.is_file():
            raise click.UsageError(f"There is no file {str(file)!r}.")
        return Input("file", str(file))
    return Input("text", sys.stdin.read() if text is None else text)


def _analyse(
    source: Input, config: Path | None, overrides: dict[str, dict[str, object]], quiet: bool
) -> Analysis:
    from app.settings import Settings
    from ml.pipeline import Runner

    chosen = {
        section: {key: value for key, value in values.items() if value is not None}
        for section, values in overrides.items()
    }
    settings = Settings.load(config, **{name: given for name, given in chosen.items() if given})
    with progress(quiet) as report:
        return Runner(settings.pipeline_options(), progress=report).run(source)


@contextmanager
def _sink(output: Path | None) -> Iterator[IO[str]]:
    """Open the output before the work starts: a wrong path must not cost an hour."""
    if output is None:
        yield sys.stdout
        return
    try:
        sink = output.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise click.UsageError(f"{output} cannot be written: {error.strerror}.") from error
    with sink:
        yield sink


def _write(analysis: Analysis, form: str, sink: IO[str]) -> None:
    if form == "table":
        render(analysis, sink)
        return
    from ml.export import export

    sink.write(export(analysis, form))  # type: ignore[arg-type]
