"""``emotion-clf demo``: the local service, one clip of speech, its transcript."""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from pathlib import Path

import click

from emotion_clf.cli.progress import progress
from emotion_clf.cli.render import render
from emotion_clf.client import Client
from emotion_clf.local.service import LocalService, default_directory


@click.command()
@click.argument("recording", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=default_directory,
    help="Where jobs and results are kept.",
)
def command(recording: Path, data: Path) -> None:
    """Start the local service, send RECORDING through its HTTP API, stop it again."""
    began = time.monotonic()
    click.echo("Starting database, broker, workers and API …", err=True)
    with LocalService(data) as service:
        ready = time.monotonic()
        addresses = service.addresses
        click.echo(f"Ready after {ready - began:.1f} s.", err=True)
        client = Client(addresses.api, _token())
        job = client.submit_file(recording)
        click.echo(f"POST {addresses.api}/jobs  →  job {job}", err=True)
        with progress() as report:
            analysis = client.wait(job, report)
        done = time.monotonic()
        click.echo(f"GET  {addresses.api}/jobs/{job}/result\n", err=True)
        render(analysis, sys.stdout)
        click.echo(f"\n{recording.name}: done {done - ready:.1f} s after it was submitted.")
        click.echo(f"API documentation  {addresses.docs}")
        click.echo(f"queue dashboard    {addresses.flower}")
        click.echo("They end with this demo; `make serve` leaves the service running.")


def _token() -> str | None:
    """Return a token for this run, where the settings of this machine ask for one."""
    from app.auth import Scope, Tokens
    from app.settings import Settings

    auth = Settings.load().auth
    if not auth.enabled:
        return None
    return Tokens(auth).issue("demo", (Scope.JOBS_READ, Scope.JOBS_WRITE), timedelta(hours=1))
