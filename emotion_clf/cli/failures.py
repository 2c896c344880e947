"""What is said when a command fails: one line on stderr, and the exit code."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from types import FrameType
from typing import NoReturn

import click

from ml.errors import Cancelled, EmotionClfError

_USAGE = 2
_INTERNAL = 70
_SYSTEM = 78
_TERMINATED = 128 + signal.SIGTERM


def report(error: BaseException) -> int:
    """Say in one line what went wrong; return the exit code."""
    match error:
        case click.exceptions.Exit():
            return error.exit_code
        case click.exceptions.NoArgsIsHelpError():
            click.echo(error.format_message(), err=True)
            return _USAGE
        case BrokenPipeError():
            # Whoever read the output, such as `head`, has seen enough.
            discard_output()
            return 0
    line, code = _line_and_code(error)
    if code in (_SYSTEM, _INTERNAL) and _debugging():
        traceback.print_exception(error)
    click.echo(f"emotion-clf: {' '.join(line.split())}", err=True)
    return code


def _line_and_code(error: BaseException) -> tuple[str, int]:
    match error:
        case click.Abort() | KeyboardInterrupt():
            return "interrupted", Cancelled.exit_code
        case click.ClickException():
            return f"usage: {error.format_message()}", error.exit_code
        case EmotionClfError():
            return f"{error.code}: {error}", error.exit_code
        case OSError():
            discard_output()
            return f"system: {_system(error)}", _SYSTEM
    return f"internal: {type(error).__name__}: {error}. {_ADVICE}", _INTERNAL


_ADVICE = f"{EmotionClfError.hint} LOG_LEVEL=debug shows where it happened."


def terminate(number: int, frame: FrameType | None) -> NoReturn:
    """Handle SIGTERM: leave every ``with`` block, so that nothing stays behind."""
    sys.exit(_TERMINATED)


def discard_output() -> None:
    """Keep the interpreter from writing at its exit what could not be written before."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _system(error: OSError) -> str:
    what = error.strerror or str(error)
    return f"{what}: {error.filename}." if error.filename else f"{what}."


def _debugging() -> bool:
    from app.settings import Settings

    try:
        return Settings.load().log_level == "debug"
    except EmotionClfError:
        return False
