"""``emotion-clf client``: the programs that may ask the service for tokens."""

from __future__ import annotations

from pathlib import Path

import click

from emotion_clf.cli.admin import become_admin, config_option, scope_option


@click.group()
def command() -> None:
    """Manage the programs that may use the service."""


@command.command()
@click.argument("name")
@scope_option("What it may do; may come several times.", required=True)
@config_option
def add(name: str, scopes: tuple[str, ...], config: Path | None) -> None:
    """Enter a client; print its id and its secret, which cannot be shown again."""
    become_admin(config, "client-add", *(f"--scope={scope}" for scope in scopes), "--", name)


@command.command("list")
@config_option
def list_clients(config: Path | None) -> None:
    """List all clients, those that were revoked too."""
    become_admin(config, "client-list")


@command.command()
@click.argument("client_id", metavar="ID")
@config_option
def revoke(client_id: str, config: Path | None) -> None:
    """End a client: its secret and every token that it has are refused from now on."""
    become_admin(config, "client-revoke", "--", client_id)


@command.command()
@click.argument("client_id", metavar="ID")
@config_option
def rotate(client_id: str, config: Path | None) -> None:
    """Replace a client's secret and print the new one; tokens run on until they expire."""
    become_admin(config, "client-rotate", "--", client_id)


@command.command("webhook-key")
@click.argument("client_id", metavar="ID")
@config_option
def webhook_key(client_id: str, config: Path | None) -> None:
    """Print the key with which reports to a client's callbacks are signed."""
    become_admin(config, "client-webhook-key", "--", client_id)
