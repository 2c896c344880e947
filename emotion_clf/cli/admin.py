"""Starts what operators do in the database: ``python -m app.admin``.

It takes the place of this process, so output, errors and exit code are its own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from emotion_clf.cli.extras import missing_extra

Command = TypeVar("Command", bound=Callable[..., Any])


def config_option(command: Command) -> Command:
    """Give a command the option ``--config``."""
    return click.option(
        "--config",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="A config.yaml: the one of the service.",
    )(command)


def scope_option(text: str, *, required: bool) -> Callable[[Command], Command]:
    """Return what gives a command the option ``--scope``, which may come several times."""
    return click.option(
        "--scope",
        "scopes",
        multiple=True,
        required=required,
        type=click.Choice(["jobs:read", "jobs:write", "metrics:read", "admin"]),
        help=text,
    )


def become_admin(config: Path | None, *arguments: str) -> NoReturn:
    """Go on as ``python -m app.admin`` with these arguments."""
    with missing_extra("api"):
        import argon2  # noqa: F401
    environment = dict(os.environ)
    if config:
        environment["EMOTION_CLF_CONFIG"] = str(config.resolve())
    sys.stdout.flush()
    command = [sys.executable, "-m", "app.admin", *arguments]
    os.execve(sys.executable, command, environment)  # noqa: S606
