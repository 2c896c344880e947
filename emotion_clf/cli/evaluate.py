"""``emotion-clf evaluate``: measure a checkpoint on labelled text."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from emotion_clf.cli.extras import missing_extra
from emotion_clf.cli.figures import render
from emotion_clf.cli.output import sink

_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_TARGET = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.option(
    "--data", type=_FOLDER, help="Folder with goemotions and tv_transcripts; see README.md."
)
@click.option("--checkpoint", type=_FOLDER, help="Instead of the one that the package carries.")
@click.option(
    "--full-encoder",
    type=_FILE,
    help="encoder-fp32.onnx of the same run, to show what int8 costs.",
)
@click.option(
    "--from-json", type=_FILE, help="Figures that --json wrote before, instead of measuring."
)
@click.option("--json", "json_file", type=_TARGET, help="Write all figures here.")
@click.option("--card", "card_file", type=_TARGET, help="Write the model card here.")
@click.option(
    "--threads", type=click.IntRange(0), default=0, help="Processor threads; 0 takes all cores."
)
@click.option("--limit", type=click.IntRange(1), help="Look at this many texts only.")
def command(
    data: Path | None,
    checkpoint: Path | None,
    full_encoder: Path | None,
    from_json: Path | None,
    json_file: Path | None,
    card_file: Path | None,
    threads: int,
    limit: int | None,
) -> None:
    """Print how well a checkpoint reads emotion, beside simple baselines."""
    if (data is None) == (from_json is None):
        raise click.UsageError("Give either --data or --from-json.")
    if from_json and (checkpoint or full_encoder or limit):
        raise click.UsageError("--from-json measures nothing; leave out what says how to measure.")
    if json_file and card_file and json_file.resolve() == card_file.resolve():
        raise click.UsageError("--json and --card name the same file.")
    with ExitStack() as stack:
        targets = {path: stack.enter_context(sink(path)) for path in (json_file, card_file) if path}
        if data is None:
            figures = _kept(from_json)
        else:
            figures = _measured(data, checkpoint, full_encoder, threads, limit)
        render(figures, sys.stdout)
        if json_file:
            targets[json_file].write(json.dumps(figures, indent=2) + "\n")
        if card_file:
            targets[card_file].write(_card(figures))


def _measured(
    data: Path, checkpoint: Path | None, full_encoder: Path | None, threads: int, limit: int | None
) -> dict[str, Any]:
    with missing_extra("train"):
        from ml.evaluation.evaluate import evaluate
        from ml.evaluation.options import EvaluateOptions
    return evaluate(EvaluateOptions(data, checkpoint, full_encoder, threads, limit))


def _kept(path: Path | None) -> dict[str, Any]:
    """Read figures that an earlier call wrote."""
    assert path is not None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if not isinstance(found, dict) or "differences" not in found:
        raise click.UsageError(f"{path} does not hold the figures of an evaluation.")
    return found


def _card(figures: dict[str, Any]) -> str:
    from ml.evaluation.card import card

    try:
        return card(figures)
    except KeyError as missing:
        raise click.UsageError(f"The figures are of another version: no {missing}.") from None
