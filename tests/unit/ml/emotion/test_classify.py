from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ml.artifacts import ArtifactStore
from ml.emotion.checkpoint import CONFIG, TERMS
from ml.emotion.classify import classify, identity_of, load, verify
from ml.errors import ModelUnavailable
from ml.options import ClassificationOptions, PipelineOptions
from ml.results import Sentence
from ml.stage import Context, Input, Sentences
from ml.text.features import FEATURES_VERSION


def test_threads_that_ask_at_once_get_one_classifier(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []

    def slow(*arguments: object, **options: object) -> object:
        time.sleep(0.1)
        made.append(object())
        return made[-1]

    monkeypatch.setattr("ml.emotion.classifier.Classifier", slow)
    with ThreadPoolExecutor(4) as pool:
        given = list(pool.map(lambda _: load("default", 99), range(4)))
    assert given == made * 4


def conversation(*texts: str, model: str = "default") -> tuple[Context, Sentences]:
    sentences = tuple(Sentence(index, text) for index, text in enumerate(texts))
    options = PipelineOptions(
        classification=ClassificationOptions(model=model, confidence_threshold=0)
    )
    context = Context(Input("text", ""), options, ArtifactStore("memory://x"), Path())
    return context, Sentences("en", sentences, (), FEATURES_VERSION, None, {})


def test_a_foreign_sentence_in_an_english_conversation_is_marked() -> None:
    found = classify(
        *conversation("She looked at me and said:", "No puedo creer que hayas hecho eso conmigo.")
    )
    assert [each.low_confidence for each in found.predictions] == [False, True]


def test_the_identity_is_that_of_the_checkpoint_and_not_of_its_place(copied: Path) -> None:
    default, elsewhere = (ClassificationOptions(model=model) for model in ("default", str(copied)))
    assert identity_of(default) == identity_of(elsewhere)
    (copied / CONFIG).write_text((copied / CONFIG).read_text() + " ")
    assert identity_of(default) != identity_of(elsewhere)


def test_verifying_runs_nothing_and_finds_what_is_damaged(copied: Path) -> None:
    options = ClassificationOptions(model=str(copied))
    assert verify(options).version
    (copied / TERMS).write_text("{}")
    with pytest.raises(ModelUnavailable, match=TERMS):
        verify(options)
