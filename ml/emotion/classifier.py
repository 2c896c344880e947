"""The classifier: texts to predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from threading import Event
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml.emotion.checkpoint import Checkpoint
from ml.emotion.engines import choose, load
from ml.emotion.inputs import TERM_WIDTH, Vectors
from ml.emotion.probabilities import Probabilities
from ml.emotion.texts import Given, checked
from ml.emotion.wording import worded
from ml.errors import OptionInvalid
from ml.options import Device
from ml.processors import cores
from ml.results import Prediction
from ml.taxonomy import SUB_EMOTIONS
from ml.text.features import features as features_of
from ml.text.language import OtherLanguages
from ml.text.terms import TermWeights

_AHEAD: Final = {"cpu": 256, "cuda": 8192}
"""Texts that :meth:`Classifier.predict_iter` reads at once; a GPU is not busy with fewer."""
_CHUNK: Final = 256
"""Texts that the feature engine reads before it looks whether anybody still waits for it."""


class Classifier:
    """Says which emotions a text carries. Loads once; safe to share between threads."""

    def __init__(
        self, checkpoint: Path | None = None, *, threads: int = 0, device: Device = "cpu"
    ) -> None:
        """Load the checkpoint in a folder, or the carried one.

        ``threads`` 0 takes as many as there are cores; ``device`` is as in
        :class:`~ml.options.ClassificationOptions`. Raises
        :class:`~ml.errors.ModelUnavailable` if the checkpoint is missing or damaged, or the
        device is not there, and :class:`~ml.errors.ExtraMissing` if its packages are not.
        """
        if threads < 0:
            raise OptionInvalid(f"threads is {threads}; allowed: 0 or more.")
        self.device: Final = choose(device)
        # Not kept: the graphs would be in memory twice.
        loaded = Checkpoint.load(checkpoint)
        self._terms = TermWeights.from_json(loaded.terms)
        self._engine = load(loaded, self.device, threads)
        self._beside = ThreadPoolExecutor(threads or cores(), "features")
        self._thresholds = np.array([loaded.thresholds[sub] for sub in SUB_EMOTIONS])
        self._temperatures = loaded.temperatures
        self._context_radius = loaded.context_radius
        self.name: Final = loaded.name
        self.version: Final = loaded.version

    def predict(
        self,
        texts: Iterable[str],
        *,
        in_order: bool = False,
        features: NDArray[np.floating] | None = None,
        use_features: bool = True,
        other_languages: OtherLanguages = "ignore",
        confidence_threshold: float = 0.65,
        batch_size: int = 32,
        should_stop: Callable[[], None] = lambda: None,
    ) -> list[Prediction]:
        """Classify ``texts``; return one prediction for each, in their order.

        ``in_order``
            the texts are consecutive sentences, and each is read with its neighbours.
        ``features``
            ``(len(texts), F)``, what :func:`ml.text.features.features` returns for them;
            None computes it here. ``use_features`` False does without, and without the
            TF-IDF terms.
        ``other_languages``
            what to do with a text that is not English, see
            :data:`ml.text.language.OtherLanguages`.
        ``confidence_threshold``
            predictions below it are marked ``low_confidence``.
        ``batch_size``
            sentences that are handed to the encoder's threads at once.
        ``should_stop``
            called between batches; what it raises ends the call.

        ``emotion`` is the most probable base emotion, and ``sub_emotion`` the most probable
        of those that belong to it. ``labels`` is the multi-label answer on its own terms:
        every sub-emotion that reaches its threshold, the most probable first, of whichever
        base emotion, because one sentence may well carry two.

        A long text is judged by its beginning, as many tokens as the checkpoint reads. Raises
        :class:`~ml.errors.TextEmpty` for a text of nothing but white space,
        :class:`~ml.errors.LanguageUnsupported` for one that is refused, and
        :class:`~ml.errors.OptionInvalid` for anything else that cannot be used.
        """
        _check_threshold(confidence_threshold)
        given = list(checked(texts, other_languages))
        if not given:
            return []
        probabilities = self._probabilities(
            given,
            in_order=in_order,
            linguistic=None if features is None else self._usable(features, len(given)),
            use_features=use_features,
            batch_size=batch_size,
            should_stop=should_stop,
        )
        return worded(given, probabilities, self._thresholds, confidence_threshold)

    def predict_iter(
        self,
        texts: Iterable[str],
        *,
        in_order: bool = False,
        use_features: bool = True,
        other_languages: OtherLanguages = "ignore",
        confidence_threshold: float = 0.65,
        batch_size: int = 32,
        should_stop: Callable[[], None] = lambda: None,
    ) -> Iterator[Prediction]:
        """Classify any number of texts in constant memory, as :meth:`predict` does.

        Sentences in order still see their neighbours: each chunk is read together with the
        few sentences around it.
        """
        _check_threshold(confidence_threshold)
        around = self._context_radius if in_order else 0
        source = checked(texts, other_languages)
        for window, own in _windows(source, _AHEAD[self.device], around):
            probabilities = self._probabilities(
                window,
                in_order=in_order,
                linguistic=None,
                use_features=use_features,
                batch_size=batch_size,
                should_stop=should_stop,
            )
            yield from worded(window, probabilities, self._thresholds, confidence_threshold)[own]

    def _probabilities(
        self,
        given: Sequence[Given],
        *,
        in_order: bool,
        linguistic: NDArray[np.float32] | None,
        use_features: bool,
        batch_size: int,
        should_stop: Callable[[], None],
    ) -> Probabilities:
        """Return the calibrated probabilities of the texts, at least one."""
        texts = [each.beginning for each in given]
        ended = Event()
        # The feature engine works beside the encoder, which leaves Python alone most of the time.
        beside = self._beside.submit(self._vectors, texts, linguistic, use_features, ended)
        try:
            pooled = self._engine.encode(texts, batch_size=batch_size, should_stop=should_stop)
            vectors = beside.result()
        finally:
            ended.set()
        logits = self._engine.logits(pooled, vectors, in_order=in_order)
        return logits.calibrated(self._temperatures)

    def _vectors(
        self,
        texts: Sequence[str],
        linguistic: NDArray[np.float32] | None,
        wanted: bool,
        ended: Event,
    ) -> Vectors:
        """Return what the feature engine says of ``texts``; give up once nobody waits for it."""
        vectors = Vectors.off(len(texts), self._engine.feature_count)
        if not wanted:
            return vectors
        if linguistic is not None:
            vectors = vectors._replace(linguistic=linguistic)
        for start in range(0, len(texts), _CHUNK):
            if ended.is_set():
                break
            part = slice(start, start + _CHUNK)
            if linguistic is None:
                vectors.linguistic[part] = features_of(texts[part])
            terms = self._terms.transform(texts[part], TERM_WIDTH)
            vectors.term_ids[part], vectors.term_weights[part] = terms
        return vectors

    def _usable(self, features: NDArray[np.floating], count: int) -> NDArray[np.float32]:
        """Return the caller's feature vectors, ``(count, F)``; raise OptionInvalid."""
        vectors = np.asarray(features, dtype=np.float32)
        shape = (count, self._engine.feature_count)
        if vectors.shape != shape or not np.isfinite(vectors).all():
            raise OptionInvalid(
                f"features has shape {vectors.shape}; wanted: {shape}, finite numbers."
            )
        return vectors


def _check_threshold(threshold: float) -> None:
    if not 0 <= threshold <= 1:
        raise OptionInvalid(f"confidence_threshold is {threshold}; allowed: 0 to 1.")


def _windows(
    source: Iterator[Given], size: int, around: int
) -> Iterator[tuple[list[Given], slice]]:
    """Yield ``size`` texts at a time with ``around`` more on either side, and which are its own."""
    before: list[Given] = []
    chunk = list(islice(source, size))
    while chunk:
        following = list(islice(source, size))
        own = slice(len(before), len(before) + len(chunk))
        yield [*before, *chunk, *following[:around]], own
        before = [*before, *chunk][-around:] if around else []
        chunk = following
