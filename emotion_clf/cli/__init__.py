"""The command line: ``emotion-clf``.

Exit codes: 0 done; 1 some items of a batch failed; 2 wrong usage; 64 an option out of range;
65 the input cannot be used; 69 an address or a service did not answer; 70 a bug; 77 a key was
refused; 78 something is missing or misconfigured on this machine; 130 interrupted; 143 ended by
SIGTERM.
"""

from __future__ import annotations

import signal
import sys
from importlib import import_module

import click

from emotion_clf._version import __version__
from emotion_clf.cli.failures import report, terminate

COMMANDS = ("predict", "batch", "demo", "serve", "client", "token", "doctor", "train", "evaluate")
"""Each is a module beside this one, in the order a newcomer meets them."""


class _LazyGroup(click.Group):
    """Imports a command's module when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order a newcomer meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command, or None where there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"emotion_clf.cli.{cmd_name}").command
        return command


@click.command(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="emotion-clf")
def _group() -> None:
    """Who said what, when, and with which emotion."""


def main() -> None:
    """Run the command line; print an error as one line and exit with its code."""
    signal.signal(signal.SIGTERM, terminate)
    try:
        # Not click's own main(), which has exit codes and words of its own for these errors.
        with _group.make_context("emotion-clf", sys.argv[1:]) as context:
            _group.invoke(context)
        sys.stdout.flush()
    except (Exception, KeyboardInterrupt) as error:
        sys.exit(report(error))
