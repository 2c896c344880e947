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
``emobank/``
    EmoBank (Buechel and Hahn 2017), sentences rated for arousal by their readers.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
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
_APART: Final = re.compile(r" (?=[.,!?;:\u2026]|'(?:s|m|d|re|ve|ll)\b|n't\b)", re.IGNORECASE)
_INTENSITY_INDEX: Final = {name: index for index, name in enumerate(INTENSITIES)} | {
    "overwhelming": INTENSITIES.index("intense")
}


@dataclass(frozen=True, slots=True)
class LabelledTexts:
    """Texts without order, with their targets; a weight of 0 stands for a target unknown."""

    texts: tuple[str, ...]
    sub: NDArray[np.float32]
    """``(n, 28)``: how probable each sub-emotion is; of annotators 0 or 1."""
    base: NDArray[np.float32]
    """``(n, 7)``: each row a distribution, shared evenly by the chosen labels."""
    degree: NDArray[np.float32]
    """``(n, 2)``: how probable it is that the intensity is above mild, above moderate."""
    weights: NDArray[np.float32]
    """``(n, 3)``: how much the row's ``sub``, ``base`` and ``degree`` count, 0..1."""

    def __len__(self) -> int:
        return len(self.texts)

    def __add__(self, other: LabelledTexts) -> LabelledTexts:
        return LabelledTexts(
            self.texts + other.texts,
            np.concatenate([self.sub, other.sub]),
            np.concatenate([self.base, other.base]),
            np.concatenate([self.degree, other.degree]),
            np.concatenate([self.weights, other.weights]),
        )

    def head(self, count: int) -> LabelledTexts:
        """Return the first ``count`` rows."""
        return LabelledTexts(
            self.texts[:count],
            self.sub[:count],
            self.base[:count],
            self.degree[:count],
            self.weights[:count],
        )

    @property
    def has_sub(self) -> NDArray[np.bool_]:
        """``(n,)``: whether the row says anything of sub-emotions."""
        known: NDArray[np.bool_] = self.weights[:, 0] > 0
        return known


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
    return _labelled(texts, sub=sub, base=_distributions(bases))


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
            texts.append(_joined(text))
            bases.append(named)
    for _, text in _tab_separated(data / "xed" / "neu_en.txt", 2):
        texts.append(_joined(text))
        bases.append([_BASE_INDEX["neutral"]])
    return _labelled(texts, base=_distributions(bases))


def transcripts(data: Path, split: Split) -> list[Transcript]:
    """Read the transcripts of one split; of every eight, the fourth is test, the eighth dev."""
    paths = sorted((data / "tv_transcripts").glob("*.csv"))
    role: dict[int, Split] = {3: "test", 7: "dev"}
    chosen = [path for i, path in enumerate(paths) if role.get(i % 8, "train") == split]
    return [_transcript(path) for path in chosen]


def lines(read: Sequence[Transcript]) -> LabelledTexts:
    """Return the lines of transcripts without their order, each label where it is known."""
    sub = np.concatenate([transcript.sub for transcript in read])
    intensity = np.concatenate([transcript.intensity for transcript in read])
    found = _labelled(
        [text for transcript in read for text in transcript.texts],
        sub=np.eye(len(SUB_EMOTIONS), dtype=np.float32)[sub],
        base=np.eye(len(BASE_EMOTIONS), dtype=np.float32)[BASE_INDEX_OF_SUB[sub]],
        degree=above(intensity),
    )
    known, graded = sub != UNKNOWN, intensity != UNKNOWN
    return replace(found, weights=np.stack([known, known, graded], axis=1).astype(np.float32))


def emobank(data: Path, shares: Sequence[float]) -> LabelledTexts:
    """Read EmoBank's training sentences; arousal stands for intensity.

    ``shares`` are the parts of the graded lines that are mild, moderate and intense: the
    sentences of the lowest arousal count as mild until their part is used up, and so on.
    """
    with (data / "emobank" / "emobank.csv").open(encoding="utf-8", newline="") as rows:
        read = [row for row in csv.DictReader(rows) if row["split"] == "train"]
    arousal = np.array([float(row["A"]) for row in read])
    edges = np.quantile(arousal, np.cumsum(shares)[:-1])
    texts = [_clean(row["text"]) for row in read]
    return _labelled(texts, degree=above(np.searchsorted(edges, arousal, side="right")))


def above(intensity: NDArray[np.int64]) -> NDArray[np.float32]:
    """Turn class indices ``(n,)`` into ``(n, 2)``: above mild, above moderate."""
    return (intensity[:, None] > np.arange(len(INTENSITIES) - 1)).astype(np.float32)


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


def _joined(text: str) -> str:
    """Clean a text whose words and marks are set apart by blanks, as XED's are."""
    return _APART.sub("", _clean(text))


def _labelled(
    texts: Sequence[str],
    *,
    sub: NDArray[np.float32] | None = None,
    base: NDArray[np.float32] | None = None,
    degree: NDArray[np.float32] | None = None,
) -> LabelledTexts:
    """Return texts with those targets that are given; the others weigh nothing."""
    widths = len(SUB_EMOTIONS), len(BASE_EMOTIONS), len(INTENSITIES) - 1
    given = sub, base, degree
    targets = [
        np.zeros((len(texts), width), np.float32) if target is None else target
        for target, width in zip(given, widths, strict=True)
    ]
    known = np.array([target is not None for target in given], np.float32)
    weights = np.tile(known, (len(texts), 1))
    return LabelledTexts(tuple(texts), targets[0], targets[1], targets[2], weights)


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
