"""The items of a batch, and what became of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ml.errors import EmotionClfError
from ml.results import Analysis
from ml.stage import Input

_COMMENT = "#"

Report = Callable[[str, str, float, str], None]
"""Called with an item's source, its stage, the fraction 0..1 of it, and a few words."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an item has no analysis."""

    code: str
    message: str
    hint: str

    @classmethod
    def of(cls, error: EmotionClfError) -> Failure:
        """Return what a user may know of an error."""
        return cls(error.code, error.text, error.advice)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one item: it has an analysis or an error."""

    source: str
    """The address or the path, as it was listed."""
    analysis: Analysis | None = None
    error: Failure | None = None


def sources_in(lines: Iterable[str]) -> tuple[str, ...]:
    """Return the addresses and paths in a list, one a line, each once.

    Empty lines and those that start with ``#`` are skipped.
    """
    stripped = (line.strip() for line in lines)
    listed = (line for line in stripped if line and not line.startswith(_COMMENT))
    return tuple(dict.fromkeys(listed))


def is_address(source: str) -> bool:
    """Return whether a source is a link, not a path."""
    return source.lower().startswith(("http://", "https://"))


def input_of(source: str) -> Input:
    """Return a source as the pipeline takes it."""
    return Input("url" if is_address(source) else "file", source)
