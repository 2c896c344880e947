"""Who said what: from voices to turns, and from turns to words."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from string import ascii_uppercase

import numpy as np
from numpy.typing import NDArray

from ml.options import DiarizationOptions
from ml.results import Word
from ml.speech.speakers.clustering import centroids
from ml.stage import Voice

Floats = NDArray[np.float32]

_SWITCH = 0.1
"""What a change of speaker costs, in seconds times cosine. Error rates are flat up to 0.2."""
_GAP = 0.75
"""Seconds of silence that a speaker may leave without ending the turn."""
_PHRASE_GAP = 0.2
"""Seconds between words that are said in one breath."""
_STOPS = (".", "!", "?")


@dataclass(frozen=True, slots=True)
class Turn:
    """A stretch of the recording in which one speaker speaks, in seconds."""

    start: float
    end: float
    speaker: str
    """ "A", "B", … in the order of their first turn."""


def turns(
    voices: Sequence[Voice],
    options: DiarizationOptions,
    check: Callable[[], None] = lambda: None,
) -> list[Turn]:
    """Return who speaks when, over the whole recording.

    ``voices`` are those of all its parts and may overlap, as windows do. Two people who speak
    at once become one: a window has one voice. ``check`` is called every second or so and may
    raise.
    """
    if not voices:
        return []
    voices = sorted(voices, key=lambda voice: (voice.start, voice.end))
    vectors = np.stack([np.frombuffer(voice.embedding, "<f2") for voice in voices])
    vectors = vectors.astype(np.float32)
    seconds = np.array([voice.end - voice.start for voice in voices], np.float32)
    fewest = options.speakers or options.min_speakers
    most = options.speakers or options.max_speakers
    known = centroids(vectors, seconds, fewest=fewest, most=most, check=check)
    pieces, alike = _pieces(voices, vectors @ known.T)
    lengths = np.array([end - start for start, end in pieces], np.float32)
    return _joined(pieces, _most_likely(alike * lengths[:, None]))


def _pieces(voices: Sequence[Voice], alike: Floats) -> tuple[list[tuple[float, float]], Floats]:
    """Cut the windows where any of them begins or ends.

    Returns the pieces that at least one window covers, and how much each sounds like each
    speaker: the mean over those windows.
    """
    edges = sorted({edge for voice in voices for edge in (voice.start, voice.end)})
    total = np.zeros((len(edges), alike.shape[1]), np.float32)
    heard = np.zeros(len(edges), np.float32)
    for voice, row in zip(voices, alike, strict=True):
        covered = slice(bisect_left(edges, voice.start), bisect_left(edges, voice.end))
        total[covered] += row
        heard[covered] += 1
    pieces = [piece for piece, count in zip(pairwise(edges), heard, strict=False) if count]
    return pieces, total[heard > 0] / heard[heard > 0, None]


def _most_likely(scores: Floats) -> list[int]:
    """Return the speaker of each piece ``(pieces, speakers)``: Viterbi, where changing costs."""
    best, came_from = scores[0], []
    for score in scores[1:]:
        leap = best.max() - _SWITCH
        came_from.append(np.where(best >= leap, np.arange(len(best)), best.argmax()))
        best = np.maximum(best, leap) + score
    path = [int(best.argmax())]
    for sources in reversed(came_from):
        path.append(int(sources[path[-1]]))
    return path[::-1]


def _joined(pieces: Sequence[tuple[float, float]], who: Sequence[int]) -> list[Turn]:
    names: dict[int, str] = {}
    found: list[Turn] = []
    for (start, end), number in zip(pieces, who, strict=True):
        speaker = names.setdefault(number, name_of(len(names)))
        last = found[-1] if found else None
        if last and last.speaker == speaker and start - last.end <= _GAP:
            found[-1] = replace(last, end=end)
        else:
            found.append(Turn(start, end, speaker))
    return found


def name_of(number: int) -> str:
    """Return "A" for 0, "Z" for 25, "AA" for 26."""
    letters = ""
    while number >= 0:
        number, letter = divmod(number, len(ascii_uppercase))
        letters = ascii_uppercase[letter] + letters
        number -= 1
    return letters


def attribute(words: Sequence[Word], turns: Sequence[Turn]) -> list[Word]:
    """Return the words with their speakers; as they are where there is no turn at all.

    A word has the speaker that :func:`speaker_of` finds. Only where a single word inside a
    phrase seems to change the speaker, it stays with its neighbours: turns are less sharp
    than words.
    """
    if not turns:
        return list(words)
    speakers = [speaker_of(word.start, word.end, turns) for word in words]
    for place in range(1, len(words) - 1):
        before, after = speakers[place - 1], speakers[place + 1]
        if before == after and _inside_phrase(*words[place - 1 : place + 2]):
            speakers[place] = before
    return [replace(word, speaker=name) for word, name in zip(words, speakers, strict=True)]


def speaker_of(start: float, end: float, turns: Sequence[Turn]) -> str | None:
    """Return who speaks most in a stretch of time, or else nearest to it.

    ``turns`` are in order and do not overlap, as :func:`turns` returns them. None where there
    is no turn at all.
    """
    first = bisect_right(turns, start, key=_start) - 1
    following = bisect_left(turns, end, key=_start)
    near = turns[max(0, first) : following + 1]
    seconds: defaultdict[str, float] = defaultdict(float)
    for turn in near:
        seconds[turn.speaker] += max(0.0, min(end, turn.end) - max(start, turn.start))
    speaker, most = max(seconds.items(), key=lambda item: item[1], default=(None, 0.0))
    if most > 0 or speaker is None:
        return speaker
    return min(near, key=lambda turn: max(turn.start - end, start - turn.end)).speaker


def _start(turn: Turn) -> float:
    return turn.start


def _inside_phrase(before: Word, word: Word, after: Word) -> bool:
    together = max(word.start - before.end, after.start - word.end) < _PHRASE_GAP
    return together and not before.text.endswith(_STOPS) and not word.text.endswith(_STOPS)
