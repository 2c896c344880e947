from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from ml.emotion.classify import load


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
