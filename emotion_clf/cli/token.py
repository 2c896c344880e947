"""``emotion-clf token``: a token by hand, for those who have the service's settings."""

from __future__ import annotations

from pathlib import Path

import click

from emotion_clf.cli.admin import become_admin, config_option, scope_option

_HOURS_A_YEAR = 366 * 24


@click.command()
@click.option("--client", "client_id", metavar="ID", required=True, help="For which client.")
@scope_option("What it may do; without it all that the client may.", required=False)
@click.option(
    "--hours",
    type=click.FloatRange(0, _HOURS_A_YEAR, min_open=True),
    default=1.0,
    show_default=True,
    help="How long it is good.",
)
@config_option
def command(client_id: str, scopes: tuple[str, ...], hours: float, config: Path | None) -> None:
    """Print a token for a client; it needs auth.secret and the database, not the service."""
    asked = (f"--scope={scope}" for scope in scopes)
    become_admin(config, "token", f"--client={client_id}", f"--hours={hours}", *asked)
