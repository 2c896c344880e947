"""What every local recogniser offers, whichever library runs Whisper underneath."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ml.results import Word
from ml.stage import Passage


class Engine(Protocol):
    """A loaded Whisper model.

    Windows are samples at 16 kHz, mono, in -1..1, each at most 30 s of speech. ``advance`` is
    called with how many windows are done so far; what it raises ends the call.
    """

    @property
    def name(self) -> str:
        """Model, library and version, such as ``tiny.en openai-whisper-20250625``."""

    @property
    def multilingual(self) -> bool:
        """Whether the model knows other languages than English, and can translate them."""

    def languages(self, windows: Sequence[NDArray[np.float32]]) -> dict[str, float]:
        """Return the mean probability of each language over some windows, by ISO 639-1 code.

        A model for English alone returns ``{"en": 1.0}``.
        """

    def words(
        self,
        windows: Sequence[NDArray[np.float32]],
        *,
        language: str,
        beam_size: int,
        batch_size: int,
        advance: Callable[[int], None],
    ) -> list[list[Word]]:
        """Return the words of each window, in order.

        Times are in seconds from that window's start, within it, and never run backwards.
        """

    def translate(
        self,
        windows: Sequence[NDArray[np.float32]],
        *,
        language: str,
        beam_size: int,
        batch_size: int,
        advance: Callable[[int], None],
    ) -> list[list[Passage]]:
        """Return in English what is said in each window, in order, with its times within it."""
