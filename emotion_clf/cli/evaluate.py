"""``emotion-clf evaluate``: measure a checkpoint on labelled text."""

from __future__ import annotations

import json
from pathlib import Path

import click

from emotion_clf.cli.extras import missing_extra


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    required=True,
    help="Folder with goemotions and tv_transcripts; see README.md.",
)
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Instead of the one that the package carries.",
)
@click.option(
    "--full-encoder",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="encoder-fp32.onnx of the same run, to show what int8 costs.",
)
@click.option(
    "--threads", type=click.IntRange(0), default=0, help="Processor threads; 0 takes all cores."
)
@click.option("--limit", type=click.IntRange(1), help="Look at this many texts only.")
def command(
    data: Path,
    checkpoint: Path | None,
    full_encoder: Path | None,
    threads: int,
    limit: int | None,
) -> None:
    """Print the figures of a checkpoint as JSON."""
    with missing_extra("train"):
        from ml.training.evaluate import evaluate
        from ml.training.options import EvaluateOptions
    figures = evaluate(EvaluateOptions(data, checkpoint, full_encoder, threads, limit))
    click.echo(json.dumps(figures, indent=2))
