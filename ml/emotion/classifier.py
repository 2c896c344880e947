"""The classifier: texts to predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml.emotion.checkpoint import Checkpoint
from ml.emotion.probabilities import Floats
from ml.emotion.runtime import Runtime
from ml.errors import OptionInvalid, TextEmpty
from ml.results import Prediction
from ml.taxonomy import BASE_EMOTIONS, INTENSITIES, SUB_EMOTIONS, SUBS_OF
from ml.text.features import features as features_of

_CHUNK: Final = 256
_DIGITS: Final = 4
_SUB_ROWS: Final = {
    base: np.array([SUB_EMOTIONS.index(sub) for sub in subs]) for base, subs in SUBS_OF.items()
}


class Classifier:
    """Says which emotions a text carries. Loads once; safe to share between threads."""

    def __init__(self, checkpoint: Path | None = None, *, threads: int = 0) -> None:
        """Load the checkpoint in a folder, or the carried one.

        ``threads`` 0 takes as many as there are cores. Raises
        :class:`~ml.errors.ModelUnavailable` if the checkpoint is missing or damaged.
        """
        if threads < 0:
            raise OptionInvalid(f"threads is {threads}; allowed: 0 or more.")
        self._checkpoint = Checkpoint.load(checkpoint)
        self._runtime = Runtime(self._checkpoint, threads)
        self._thresholds = np.array([self._checkpoint.thresholds[sub] for sub in SUB_EMOTIONS])
        self.name: Final = self._checkpoint.name
        self.version: Final = self._checkpoint.version

    def predict(
        self,
        texts: Iterable[str],
        *,
        in_order: bool = False,
        features: NDArray[np.floating] | None = None,
        use_features: bool = True,
        confidence_threshold: float = 0.65,
        batch_size: int = 32,
        should_stop: Callable[[], None] = lambda: None,
    ) -> list[Prediction]:
        """Classify ``texts``; return one prediction for each, in their order.

        ``in_order``
            the texts are consecutive sentences, and each is read with its neighbours.
        ``features``
            ``(len(texts), F)``, what :func:`ml.text.features.features` returns for them;
            None computes it here. ``use_features`` False does without.
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

        Texts beyond 128 tokens are judged by their first 128. Raises
        :class:`~ml.errors.TextEmpty` for a text without a visible character and
        :class:`~ml.errors.OptionInvalid` for anything else that cannot be used.
        """
        if not 0 <= confidence_threshold <= 1:
            raise OptionInvalid(f"confidence_threshold is {confidence_threshold}; allowed: 0 to 1.")
        texts = list(_checked(texts))
        if not texts:
            return []
        vectors = self._features(texts, features, use_features)
        pooled = self._runtime.encode(texts, batch_size=batch_size, should_stop=should_stop)
        logits = self._runtime.logits(pooled, vectors, in_order=in_order)
        read = logits.calibrated(self._checkpoint.temperatures)
        return [
            self._prediction(text, sub, base, intensity, confidence_threshold)
            for text, sub, base, intensity in zip(texts, *read, strict=True)
        ]

    def predict_iter(
        self,
        texts: Iterable[str],
        *,
        in_order: bool = False,
        use_features: bool = True,
        confidence_threshold: float = 0.65,
        batch_size: int = 32,
        should_stop: Callable[[], None] = lambda: None,
    ) -> Iterator[Prediction]:
        """Classify any number of texts in constant memory, as :meth:`predict` does.

        Sentences in order still see their neighbours: each chunk is read together with the
        few sentences around it.
        """
        around = self._checkpoint.context_radius if in_order else 0
        source = _checked(texts)
        before: list[str] = []
        chunk = list(islice(source, _CHUNK))
        while chunk:
            following = list(islice(source, _CHUNK))
            window = [*before, *chunk, *following[:around]]
            predictions = self.predict(
                window,
                in_order=in_order,
                use_features=use_features,
                confidence_threshold=confidence_threshold,
                batch_size=batch_size,
                should_stop=should_stop,
            )
            yield from predictions[len(before) : len(before) + len(chunk)]
            before = list(chain(before, chunk))[-around:] if around else []
            chunk = following

    def _features(
        self, texts: Sequence[str], given: NDArray[np.floating] | None, wanted: bool
    ) -> NDArray[np.float32]:
        """Return the feature vectors to use, ``(n, F)``; zeros switch features off."""
        shape = (len(texts), self._runtime.feature_count)
        if not wanted:
            return np.zeros(shape, np.float32)
        if given is None:
            return features_of(texts)
        vectors = np.asarray(given, dtype=np.float32)
        if vectors.shape != shape or not np.isfinite(vectors).all():
            raise OptionInvalid(
                f"features has shape {vectors.shape}; wanted: {shape}, finite numbers."
            )
        return vectors

    def _prediction(
        self, text: str, sub: Floats, base: Floats, intensity: Floats, threshold: float
    ) -> Prediction:
        """Put one text's probabilities into words."""
        emotion = BASE_EMOTIONS[int(base.argmax())]
        members = _SUB_ROWS[emotion]
        emotions = _named(BASE_EMOTIONS, base)
        ranked = [SUB_EMOTIONS[row] for row in np.argsort(-sub, kind="stable")]
        present = {SUB_EMOTIONS[row] for row in np.flatnonzero(sub >= self._thresholds)}
        return Prediction(
            text=text,
            emotion=emotion,
            sub_emotion=SUB_EMOTIONS[members[int(sub[members].argmax())]],
            intensity=INTENSITIES[int(intensity.argmax())],
            confidence=emotions[emotion],
            low_confidence=emotions[emotion] < threshold,
            emotions=emotions,
            sub_emotions=_named(SUB_EMOTIONS, sub),
            intensities=_named(INTENSITIES, intensity),
            labels=tuple(name for name in ranked if name in present),
        )


def _checked(texts: Iterable[str]) -> Iterator[str]:
    """Yield ``texts``; raise for the first that is no text or empty, by its index."""
    if isinstance(texts, str):
        raise OptionInvalid("texts is one text; wanted: a list of texts.")
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise OptionInvalid(f"texts[{index}] is {type(text).__name__}; wanted: text.")
        if not text.strip():
            raise TextEmpty(f"texts[{index}] is empty.")
        # NumPy's texts are a class of their own, which tokenizer and JSON need not know.
        yield str(text)


def _named(names: Sequence[str], values: Floats) -> dict[str, float]:
    """Return plain numbers by name, rounded to what is worth reading."""
    return {name: round(float(value), _DIGITS) for name, value in zip(names, values, strict=True)}
