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
    help="Folder with goemotions, xed and tv_transcripts; see README.md.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder of the run; finished phases found there are not run again.",
)
@click.option("--epochs", type=click.IntRange(1), help="Passes over the labelled data.")
@click.option("--distil-steps", type=click.IntRange(1), help="Steps of the warm start.")
@click.option("--minutes", type=float, help="Wall-clock budget of the fine-tuning.")
@click.option(
    "--threads", type=click.IntRange(0), default=0, help="Processor threads; 0 takes all cores."
)
@click.option("--seed", type=int, default=13, show_default=True, help="Of every random choice.")
def command(
    data: Path,
    output: Path,
    epochs: int | None,
    distil_steps: int | None,
    minutes: float | None,
    threads: int,
    seed: int,
) -> None:
    """Train, calibrate and export the classifier."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    with missing_extra("train"):
        from ml.training.options import TrainOptions
        from ml.training.train import train
    options = TrainOptions(data=data, output=output, minutes=minutes, threads=threads, seed=seed)
    if epochs:
        options = replace(options, epochs=epochs)
    if distil_steps:
        options = replace(options, distil_steps=distil_steps)
    click.echo(train(options))
