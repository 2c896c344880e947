"""How many voices there are, and what each is like.

Agglomerative clustering with centroid linkage: the two clusters that sound most alike become
one, until those left sound too different. A cluster sounds like the mean of what it holds, so
the more it holds, the surer it is. That takes the square of the number of windows in memory and
its cube in time, so first, block by block, what sounds surely alike becomes one, until few enough
are left to be looked at all together, however long and noisy the recording is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_BLOCK = 800
"""Windows that are clustered together: about ten minutes of speech."""
_SURE = 0.70
"""Cosine above which a block's clusters are one voice whatever the others sound like."""
_LESS_SURE = 0.05
"""What that cosine falls by where too many clusters are left, as they are in noise."""
_FEW = 1_500
"""Clusters that are looked at all together: 9 MB, and a second's work at most."""
ALIKE = 0.40
"""Cosine above which two clusters are one voice. Chosen by bench/diarization.py --tuning."""
_ENOUGH_SECONDS = 4.0
"""With less than this, a cluster is not a speaker of its own. Windows overlap by half: these
are about two seconds of speech."""
_ENOUGH_SHARE = 0.005
"""So much of all speech it must have besides: in hours, odd sounds add up to a voice."""
_ROUNDS = 3
"""Of moving windows to the nearest voice; hardly any moves in the third."""


class _Merge(NamedTuple):
    alike: float
    """The cosine between the two."""
    kept: int
    gone: int


def centroids(
    vectors: Floats,
    seconds: Floats,
    *,
    fewest: int,
    most: int,
    check: Callable[[], None] = lambda: None,
) -> Floats:
    """Return a unit vector for each voice, ``(k, d)``, ``fewest <= k <= most``.

    ``vectors`` ``(n, d)`` are unit vectors in the order of time, n at least 1; ``seconds``
    ``(n,)`` says how long each was listened to. ``check`` is called every second or so and may
    raise. There are fewer voices than ``fewest`` where no more have enough speech to be told
    apart.
    """
    sums = vectors * seconds[:, None]
    voices = _unit(_chosen(*_condensed(sums, seconds, check), fewest, most))
    for _ in range(_ROUNDS):
        check()
        nearest = (vectors @ voices.T).argmax(axis=1)
        found = np.unique(nearest)
        voices = _unit(np.stack([sums[nearest == voice].sum(axis=0) for voice in found]))
    return voices


def _condensed(sums: Floats, seconds: Floats, check: Callable[[], None]) -> tuple[Floats, Floats]:
    """Return the clusters to choose from, at most ``_FEW``: sums and seconds.

    Blocks merge what is as good as surely one voice, then what is less so. Where too many are left
    even so, the longest stand for the others: whoever speaks often has some of them.
    """
    for least in np.arange(_SURE, ALIKE, -_LESS_SURE):
        blocks = [slice(start, start + _BLOCK) for start in range(0, len(sums), _BLOCK)]
        parts = [_sure(sums[block], seconds[block], least, check) for block in blocks]
        sums = np.concatenate([part[0] for part in parts])
        seconds = np.concatenate([part[1] for part in parts])
        if len(sums) <= _FEW:
            break
    longest = np.sort(np.argsort(-seconds, kind="stable")[:_FEW])
    return sums[longest], seconds[longest]


def _sure(
    sums: Floats, seconds: Floats, least: float, check: Callable[[], None]
) -> tuple[Floats, Floats]:
    """Return the clusters of one block after merging those at least ``least`` alike."""
    check()
    labels = np.arange(len(sums))
    for alike, kept, gone in _merges(sums):
        if alike < least:
            break
        labels[labels == gone] = kept
    _, labels = np.unique(labels, return_inverse=True)
    member = np.eye(labels.max() + 1, dtype=np.float32)[labels]
    return member.T @ sums, member.T @ seconds


def _chosen(sums: Floats, seconds: Floats, fewest: int, most: int) -> Floats:
    """Return the sums of the clusters that are speakers.

    Merging stops where voices sound too different, or as near to there as there are clusters
    with enough speech for ``fewest`` to ``most`` speakers.
    """
    merges = list(_merges(sums))
    enough = [_enough(length) for length in _levels(seconds, merges)]
    natural = next((n for n, merge in enumerate(merges) if merge.alike < ALIKE), len(merges))
    allowed = [n for n, count in enumerate(enough) if fewest <= count <= most]
    if not allowed:
        nearest = min(max(enough), most)
        allowed = [n for n, count in enumerate(enough) if count == nearest]
    level = min(allowed, key=lambda n: abs(n - natural), default=natural)
    *_, sums = _levels(sums, merges[:level])
    *_, seconds = _levels(seconds, merges[:level])
    longest = np.argsort(-seconds, kind="stable")
    return sums[longest[: max(1, _enough(seconds))]]


def _enough(seconds: Floats) -> int:
    """Return how many clusters have enough speech for a speaker."""
    least = max(_ENOUGH_SECONDS, _ENOUGH_SHARE * float(seconds.sum()))
    return int((seconds >= least).sum())


def _levels(values: Floats, merges: Iterable[_Merge]) -> Iterator[Floats]:
    """Yield what the clusters hold before the first merge and after each; in place."""
    values = values.copy()
    yield values
    for _, kept, gone in merges:
        values[kept] += values[gone]
        values[gone] = 0
        yield values


def _merges(sums: Floats) -> Iterator[_Merge]:
    """Yield the pairs of clusters that become one, the most alike first, down to a single one."""
    sums = sums.copy()
    units = _unit(sums)
    alike = units @ units.T
    np.fill_diagonal(alike, -np.inf)
    for _ in range(len(sums) - 1):
        kept, gone = sorted(divmod(int(alike.argmax()), len(sums)))
        yield _Merge(float(alike[kept, gone]), kept, gone)
        sums[kept] += sums[gone]
        units[kept] = _unit(sums[kept])
        alike[gone], alike[:, gone] = -np.inf, -np.inf
        still = alike[kept] > -np.inf
        alike[kept, still] = alike[still, kept] = units[still] @ units[kept]


def _unit(vectors: Floats) -> Floats:
    unit: Floats = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return unit
