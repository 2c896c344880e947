"""Readers and cleaning of the training and evaluation texts.

``--data DIR`` holds three folders, as the README's section on training names their origins:

``goemotions/``
    GoEmotions' official split (Demszky et al. 2020): ``train.tsv``, ``dev.tsv``,
    ``test.tsv`` with text, comma-joined label indices and comment id.
``xed/``
    XED's English film-subtitle lines (Öhman et al. 2020), ``en-annotated.tsv`` with
    Plutchik's eight, ``neu_en.txt`` with neutral lines.
``tv_transcripts/``
    One CSV file a transcript, its lines in spoken order.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from ml.taxonomy import BASE_EMOTIONS, BASE_OF, INTENSITIES, SUB_EMOTIONS

Split = Literal["train", "dev", "test"]

UNKNOWN: Final = -1
"""The index of a label that a row does not have."""

_SUB_INDEX: Final = {sub: index for index, sub in enumerate(SUB_EMOTIONS)}
_BASE_INDEX: Final = {base: index for index, base in enumerate(BASE_EMOTIONS)}
BASE_INDEX_OF_SUB: Final = np.array([_BASE_INDEX[BASE_OF[sub]] for sub in SUB_EMOTIONS])
"""For each sub-emotion the index of its base emotion."""

# Plutchik's anticipation (2) and trust (8) have no counterpart among the seven.
_XED_BASES: Final = {
    "1": "anger",
    "3": "disgust",
    "4": "fear",
    "5": "happiness",
    "6": "sadness",
    "7": "surprise",
}
_INTENSITY_INDEX: Final = {name: index for index, name in enumerate(INTENSITIES)} | {
    "overwhelming": INTENSITIES.index("intense")
}


@dataclass(frozen=True, slots=True)
class LabelledTexts:
    """Texts without order, with their targets."""

    texts: tuple[str, ...]
    sub: NDArray[np.float32]
    """``(n, 28)``: 1 where the sub-emotion was chosen."""
    base: NDArray[np.float32]
    """``(n, 7)``: each row a distribution, shared evenly by the chosen labels."""
    has_sub: NDArray[np.bool_]
    """``(n,)``: whether the row says anything of sub-emotions."""

    def __len__(self) -> int:
        return len(self.texts)

    def __add__(self, other: LabelledTexts) -> LabelledTexts:
        return LabelledTexts(
            self.texts + other.texts,
            np.concatenate([self.sub, other.sub]),
            np.concatenate([self.base, other.base]),
            np.concatenate([self.has_sub, other.has_sub]),
        )

    def head(self, count: int) -> LabelledTexts:
        """Return the first ``count`` rows."""
        return LabelledTexts(
            self.texts[:count], self.sub[:count], self.base[:count], self.has_sub[:count]
        )


@dataclass(frozen=True, slots=True)
class Transcript:
    """The lines of one recording in spoken order; ``UNKNOWN`` where a label is missing."""

    name: str
    texts: tuple[str, ...]
    sub: NDArray[np.int64]
    intensity: NDArray[np.int64]


def goemotions(data: Path, split: Split) -> LabelledTexts:
    """Read one split of GoEmotions."""
    texts: list[str] = []
    chosen: list[list[int]] = []
    for text, labels, _ in _tab_separated(data / "goemotions" / f"{split}.tsv", 3):
        texts.append(_clean(text))
        chosen.append([int(label) for label in labels.split(",")])
    sub = _one_hot(chosen, len(SUB_EMOTIONS))
    bases = [[int(BASE_INDEX_OF_SUB[label]) for label in labels] for labels in chosen]
    return LabelledTexts(tuple(texts), sub, _distributions(bases), np.ones(len(texts), bool))


def xed(data: Path) -> LabelledTexts:
    """Read XED's lines, which know base emotions only.

    Lines that carry nothing but anticipation or trust are left out.
    """
    texts: list[str] = []
    bases: list[list[int]] = []
    for text, labels in _tab_separated(data / "xed" / "en-annotated.tsv", 2):
        known = [label.strip() for label in labels.split(",")]
        named = [_BASE_INDEX[_XED_BASES[label]] for label in known if label in _XED_BASES]
        if named:
            texts.append(_clean(text))
            bases.append(named)
    for _, text in _tab_separated(data / "xed" / "neu_en.txt", 2):
        texts.append(_clean(text))
        bases.append([_BASE_INDEX["neutral"]])
    sub = np.zeros((len(texts), len(SUB_EMOTIONS)), np.float32)
    return LabelledTexts(tuple(texts), sub, _distributions(bases), np.zeros(len(texts), bool))


def transcripts(data: Path, split: Split) -> list[Transcript]:
    """Read the transcripts of one split; of every five, the fourth is dev, the fifth test."""
    paths = sorted((data / "tv_transcripts").glob("*.csv"))
    role: dict[int, Split] = {3: "dev", 4: "test"}
    chosen = [path for i, path in enumerate(paths) if role.get(i % 5, "train") == split]
    return [_transcript(path) for path in chosen]


def single_base(base: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Say which rows of ``base`` ``(n, 7)`` name exactly one base emotion."""
    one: NDArray[np.bool_] = (base > 0).sum(axis=1) == 1
    return one


def _transcript(path: Path) -> Transcript:
    """Read one file.

    Its emotion column is not read: it contradicts the sub-emotion at times (curiosity as
    happiness, say), and the taxonomy already derives it.
    """
    texts: list[str] = []
    sub: list[int] = []
    intensity: list[int] = []
    with path.open(encoding="utf-8-sig", newline="") as lines:
        for row in csv.DictReader(lines):
            text = _clean(row["text"] or "")
            if not text:
                continue
            texts.append(text)
            sub.append(_SUB_INDEX.get((row["sub-emotion"] or "").strip(), UNKNOWN))
            intensity.append(_INTENSITY_INDEX.get((row["intensity"] or "").strip(), UNKNOWN))
    return Transcript(path.stem, tuple(texts), np.array(sub), np.array(intensity))


def _tab_separated(path: Path, columns: int) -> Iterator[list[str]]:
    """Yield the first ``columns`` fields of each line that has as many."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            fields = line.rstrip("\n").split("\t")
            if len(fields) >= columns:
                yield fields[:columns]


def _clean(text: str) -> str:
    """Collapse white space, and name people the way GoEmotions does."""
    return " ".join(text.replace("[PERSON]", "[NAME]").split())


def _one_hot(chosen: Sequence[Sequence[int]], width: int) -> NDArray[np.float32]:
    rows = np.zeros((len(chosen), width), np.float32)
    for row, labels in zip(rows, chosen, strict=True):
        row[list(labels)] = 1.0
    return rows


def _distributions(bases: Sequence[Sequence[int]]) -> NDArray[np.float32]:
    """Turn lists of base indices into rows that sum to one, repeats counted."""
    rows = np.zeros((len(bases), len(BASE_EMOTIONS)), np.float32)
    for row, labels in zip(rows, bases, strict=True):
        np.add.at(row, list(labels), 1.0 / len(labels))
    return rows
