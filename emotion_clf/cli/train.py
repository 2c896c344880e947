"""``emotion-clf train``: make the classifier's checkpoint."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import click

from emotion_clf.cli.extras import missing_extra


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    required=True,
    help="Folder with goemotions, xed, tv_transcripts and emobank; see README.md.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder of the run; finished phases found there are not run again.",
)
@click.option(
    "--backbone", help="Folder or Hub name of the encoder; MiniLM as a DeBERTa-v3 without it."
)
@click.option("--teacher", help="Folder or Hub name of a large encoder to learn from.")
@click.option("--epochs", type=click.IntRange(1), help="Passes over the texts.")
@click.option(
    "--minutes",
    type=click.FloatRange(0, min_open=True),
    help="Wall-clock budget of the fine-tuning.",
)
@click.option(
    "--threads", type=click.IntRange(0), default=0, help="Processor threads; 0 takes all cores."
)
@click.option(
    "--seed", type=click.IntRange(0), default=13, show_default=True, help="Of every random choice."
)
def command(
    data: Path,
    output: Path,
    backbone: str | None,
    teacher: str | None,
    epochs: int | None,
    minutes: float | None,
    threads: int,
    seed: int,
) -> None:
    """Train, calibrate and export the classifier."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    with missing_extra("train"):
        from ml.training.options import TrainOptions
        from ml.training.train import train
    options = TrainOptions(data, output, backbone, teacher, threads=threads, seed=seed)
    rates = replace(options.student_rates, minutes=minutes)
    if epochs:
        rates = replace(rates, epochs=epochs)
    click.echo(train(replace(options, student_rates=rates)))
