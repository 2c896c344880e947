"""The Python face of the pipeline."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ml.emotion.classify import classifier_of, verify
from ml.options import PipelineOptions
from ml.pipeline import Runner
from ml.requirements import require
from ml.results import Analysis, Prediction
from ml.stage import Input
from ml.text.language import OtherLanguages


def _ignore(stage: str, fraction: float, detail: str) -> None:
    """Take a report of progress and do nothing with it."""


def _refuse_one_text(texts: Iterable[str]) -> None:
    # A text is itself a sequence of texts, its letters, and would be taken for them.
    if isinstance(texts, str):
        raise TypeError('texts is a list of texts: ["..."]')


class EmotionPredictor:
    """Predicts emotions in this process, without any server.

    The classifier's files are read and verified when a predictor is made, so that damaged
    or missing ones show at once. They are loaded at the first prediction, and shared by
    every predictor of the process that names the same ones. Making a predictor, and every
    method, raises :class:`emotion_clf.EmotionClfError` with a stable ``code`` where
    something cannot be used.
    """

    def __init__(self, options: PipelineOptions | None = None) -> None:
        self.options = options or PipelineOptions()
        verify(self.options.classification)

    def predict(
        self,
        texts: Iterable[str],
        *,
        in_order: bool = False,
        other_languages: OtherLanguages = "refuse",
    ) -> list[Prediction]:
        """Return one prediction a text, in the order of ``texts``.

        With ``in_order=True`` the texts are consecutive sentences of one conversation, and
        each is read in the light of its neighbours.

        The classifier reads English. A text that surely is not raises
        ``language.unsupported`` and is named by its index; with ``other_languages="mark"``
        its prediction is marked ``low_confidence`` instead, as is that of a text too short
        to tell that looks like another language ("Danke!"). ``"ignore"`` does not look.
        """
        _refuse_one_text(texts)
        options = self.options.classification
        return classifier_of(options).predict(
            texts,
            in_order=in_order,
            use_features=options.features,
            other_languages=other_languages,
            confidence_threshold=options.confidence_threshold,
            batch_size=options.batch_size,
        )

    def predict_iter(
        self,
        texts: Iterable[str],
        *,
        in_order: bool = False,
        other_languages: OtherLanguages = "refuse",
    ) -> Iterator[Prediction]:
        """Yield one prediction a text as :meth:`predict` does, for any number of texts.

        Memory stays constant: a few hundred texts are read ahead, on a GPU a few thousand.
        """
        _refuse_one_text(texts)
        options = self.options.classification
        return classifier_of(options).predict_iter(
            texts,
            in_order=in_order,
            use_features=options.features,
            other_languages=other_languages,
            confidence_threshold=options.confidence_threshold,
            batch_size=options.batch_size,
        )

    def analyze(
        self,
        source: str | os.PathLike[str],
        *,
        progress: Callable[[str, float, str], None] = _ignore,
    ) -> Analysis:
        """Return the full analysis of a recording: a path, or an http or https address.

        ``progress`` is called with the stage, the fraction 0..1 of the work that is done,
        and a few words such as ``12 of 60 s``.
        """
        address = isinstance(source, str) and source.lower().startswith(("http://", "https://"))
        where = Input("url", str(source)) if address else Input("file", str(Path(source)))
        require(self.options, where.kind)
        return Runner(self.options, progress=progress).run(where)

    def analyze_text(self, text: str) -> Analysis:
        """Return the full analysis of a text: its sentences in order, and a summary."""
        return Runner(self.options).run(Input("text", text))
