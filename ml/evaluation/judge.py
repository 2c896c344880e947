"""A checkpoint's answers about all test texts, in every way they can be asked for."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from ml.corpora import data
from ml.corpora.data import UNKNOWN, LabelledTexts, Transcript
from ml.corpora.recogniser import plain
from ml.emotion.checkpoint import Checkpoint
from ml.emotion.probabilities import Logits, Probabilities
from ml.evaluation.answers import (
    CommentAnswers,
    LineAnswers,
    Lines,
    comment_scores,
    line_scores,
)
from ml.evaluation.bootstrap import blocks
from ml.evaluation.reading import FEATURES_BY_DEFAULT, Encoded, Reader
from ml.evaluation.scores import Score
from ml.taxonomy import SUB_EMOTIONS

log = logging.getLogger(__name__)

Scores = dict[str, Score]

FEATURES: Final = {"features": True, "none": False}
"""The feature engine on, and off."""
WAYS: Final = ("in_order", "alone", "shuffled")
"""Lines with their neighbours, without any, and with the wrong ones: those of the same
transcript in shuffled order. What the right order gives beyond a transcript's general tone
shows in the difference."""
_SHUFFLE_SEED: Final = 0


@dataclass(frozen=True, slots=True)
class Material:
    """The test texts with their labels."""

    comments: LabelledTexts
    transcripts: tuple[Transcript, ...]

    @classmethod
    def read(cls, folder: Path, limit: int | None) -> Material:
        """Read GoEmotions' test split and the test transcripts, the first ``limit`` of each."""
        comments = data.goemotions(folder, "test")
        found = data.transcripts(folder, "test")
        return cls(
            comments if limit is None else comments.head(limit),
            tuple(
                Transcript(each.name, each.texts[:limit], each.sub[:limit], each.intensity[:limit])
                for each in found
            ),
        )

    @property
    def texts(self) -> dict[str, tuple[str, ...]]:
        """The comments as they were written, and as a recogniser would give them."""
        written = self.comments.texts
        return {"written": written, "plain": tuple(map(plain, written))}

    @property
    def line_texts(self) -> tuple[str, ...]:
        """The lines of all transcripts."""
        return tuple(text for transcript in self.transcripts for text in transcript.texts)

    @property
    def lines(self) -> Lines:
        """The labels of the lines of all transcripts."""
        return Lines(
            np.concatenate([each.sub for each in self.transcripts]),
            np.concatenate([each.intensity for each in self.transcripts]),
            blocks([len(each.texts) for each in self.transcripts]),
        )

    def described(self) -> dict[str, Any]:
        """Return how much there is of everything."""
        lines = self.lines
        return {
            "comments": len(self.comments),
            "single_base_comments": int(data.single_base(self.comments.base).sum()),
            "transcripts": [each.name for each in self.transcripts],
            "lines": len(lines.sub),
            "lines_with_emotion": int(lines.known.sum()),
            "lines_with_intensity": int((lines.intensity != UNKNOWN).sum()),
            "blocks": len(np.unique(lines.block)),
        }


class Judge:
    """Asks one checkpoint about the test texts. Encodes each text once."""

    def __init__(self, checkpoint: Checkpoint, material: Material, threads: int) -> None:
        self._reader = Reader(checkpoint, threads)
        self._temperatures = checkpoint.temperatures
        self._material = material
        self.thresholds: Final = np.array([checkpoint.thresholds[sub] for sub in SUB_EMOTIONS])
        start = time.perf_counter()
        self._comments = {name: self._reader.encode(t) for name, t in material.texts.items()}
        self._lines = [self._reader.encode(each.texts) for each in material.transcripts]
        texts = 2 * len(material.comments) + len(material.lines.sub)
        self.speed: Final = texts / (time.perf_counter() - start)
        """Sentences a second through the encoder and the feature engine."""
        log.info("read %d texts, %.0f a second", texts, self.speed)

    def comments(
        self,
        text: str = "written",
        *,
        use_features: bool = FEATURES_BY_DEFAULT,
        temperatures: Mapping[str, float] | None = None,
    ) -> Probabilities:
        """Return what the checkpoint says of the comments."""
        logits = self._reader.logits(self._comments[text], use_features=use_features)
        return logits.calibrated(temperatures or self._temperatures)

    def lines(
        self,
        way: str = "in_order",
        *,
        use_features: bool = FEATURES_BY_DEFAULT,
        temperatures: Mapping[str, float] | None = None,
    ) -> Probabilities:
        """Return what the checkpoint says of the lines of all transcripts, read in a ``way``."""
        parts = [self._logits(each, way, use_features) for each in self._lines]
        joined = Logits(*(np.concatenate(each) for each in zip(*parts, strict=True)))
        return joined.calibrated(temperatures or self._temperatures)

    def _logits(self, encoded: Encoded, way: str, use_features: bool) -> Logits:
        if way != "shuffled":
            in_order = way == "in_order"
            return self._reader.logits(encoded, in_order=in_order, use_features=use_features)
        order = np.random.default_rng(_SHUFFLE_SEED).permutation(len(encoded.pooled))
        read = self._reader.logits(
            encoded.reordered(order), in_order=True, use_features=use_features
        )
        back = np.argsort(order)
        return Logits(*(part[back] for part in read))

    def comment_scores(self) -> dict[str, dict[str, Scores]]:
        """Return the scores on comments by features and by text."""
        return {
            name: {text: self._comment_scores(text, on) for text in self._comments}
            for name, on in FEATURES.items()
        }

    def line_scores(self) -> dict[str, dict[str, Scores]]:
        """Return the scores on transcripts by features and by way of reading."""
        return {
            name: {way: self._line_scores(way, on) for way in WAYS} for name, on in FEATURES.items()
        }

    def _comment_scores(self, text: str, use_features: bool) -> Scores:
        said = self.comments(text, use_features=use_features)
        answers = CommentAnswers(said.sub >= self.thresholds, said.base)
        return comment_scores(answers, self._material.comments)

    def _line_scores(self, way: str, use_features: bool) -> Scores:
        said = self.lines(way, use_features=use_features)
        return line_scores(LineAnswers(said.base, said.intensity), self._material.lines)
