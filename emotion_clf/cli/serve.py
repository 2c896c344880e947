"""``emotion-clf serve``: the local service."""

from __future__ import annotations

from pathlib import Path

import click

from emotion_clf.local.service import LocalService, default_directory


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), help="Of the API.  [default: 8000 if free]")
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=default_directory,
    help="Where jobs and results are kept.",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A config.yaml, for the API and every worker.",
)
def command(port: int | None, data: Path, config: Path | None) -> None:
    """Run API, workers, broker and database on this machine until Ctrl-C."""
    _verify(config)
    click.echo("Starting …", err=True)
    with LocalService(data, port=port, config=config) as service:
        addresses = service.addresses
        click.echo(f"  API and page   {addresses.api}")
        click.echo(f"  documentation  {addresses.docs}")
        click.echo(f"  queues         {addresses.flower}")
        click.echo(f"  logs           {service.logs}")
        click.echo("Ready. It listens on this machine only; Ctrl-C stops it.")
        service.watch()
        click.echo("Stopping …", err=True)


def _verify(config: Path | None) -> None:
    """Raise at once where the workers would find damaged files, and say so in a log alone."""
    from app.settings import Settings
    from ml.emotion.classify import verify

    verify(Settings.load(config).pipeline_options().classification)
