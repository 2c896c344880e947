"""Windows: regions of speech packed together, so that each pass of Whisper hears its fill.

Whisper reads 30 seconds at a time and takes as long for two. So regions are joined until a
window is full; long silences between them are left out, and times are mapped back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from ml.results import Word
from ml.source.wav import SAMPLE_RATE
from ml.stage import Passage, Span

Timed = TypeVar("Timed", Word, Passage)


@dataclass(frozen=True, slots=True)
class Window:
    """Some consecutive regions of a recording, heard as one."""

    regions: tuple[Span, ...]

    @property
    def seconds(self) -> float:
        """How long it is, without what lies between its regions."""
        return sum(region.end - region.start for region in self.regions)

    def samples(self, audio: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the samples of its regions, one after the other."""
        return np.concatenate(
            [
                audio[round(region.start * SAMPLE_RATE) : round(region.end * SAMPLE_RATE)]
                for region in self.regions
            ]
        )

    def placed(self, said: Iterable[Timed]) -> list[Timed]:
        """Return what has times from the window's start with the recording's times.

        A word belongs to the region in which its middle lies, and stays within it.
        """
        placed: list[Timed] = []
        now, offset = 0.0, 0.0
        rest = iter(self.regions)
        region = next(rest)
        for word in said:
            middle = (word.start + word.end) / 2
            while middle > offset + region.end - region.start:
                following = next(rest, None)
                if following is None:
                    break
                offset += region.end - region.start
                region = following
            start = _within(word.start - offset + region.start, region, now)
            end = _within(word.end - offset + region.start, region, start)
            placed.append(replace(word, start=start, end=end))
            now = end
        return placed


def _within(time: float, region: Span, earliest: float) -> float:
    return max(min(max(time, region.start), region.end), earliest)


def pack(regions: Sequence[Span], seconds: float) -> list[Window]:
    """Return windows of at most ``seconds``; a longer region has one of its own."""
    windows: list[Window] = []
    pending: list[Span] = []
    filled = 0.0
    for region in regions:
        length = region.end - region.start
        if pending and filled + length > seconds:
            windows.append(Window(tuple(pending)))
            pending, filled = [], 0.0
        pending.append(region)
        filled += length
    if pending:
        windows.append(Window(tuple(pending)))
    return windows
