"""What is said where an optional part of the package is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ml.errors import ExtraMissing


@contextmanager
def missing_extra(extra: str) -> Iterator[None]:
    """Turn a failed import into an error that names the command that installs it."""
    try:
        yield
    except ImportError as error:
        raise ExtraMissing(
            f"The module {error.name} is not installed.",
            hint=f"Install it with pip install 'emotion-clf[{extra}]'.",
        ) from error
