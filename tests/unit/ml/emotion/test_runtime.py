import threading
from dataclasses import replace

import numpy as np
import pytest

from ml.emotion.checkpoint import Checkpoint
from ml.emotion.runtime import Runtime, batches
from ml.errors import Cancelled, ModelUnavailable

TEXTS = [
    "Oh no.",
    "I can't believe you did that!",
    "Thank you so much.",
    "Where were you last night, and who were you with?",
    "Oh no.",
    "He left.",
    "word " * 400,
    "😀",
    "broken \ud800 text",
]


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return Checkpoint.load()


@pytest.fixture(scope="module")
def runtime(checkpoint) -> Runtime:
    return Runtime(checkpoint, threads=2)


def test_batches_hold_every_sentence_once_and_one_length_each():
    lengths = np.random.default_rng(0).integers(1, 60, 2_000)
    ids = [(7,) * length for length in lengths]
    found = list(batches(ids, 32, 500))
    assert sorted(place for batch in found for place in batch) == list(range(2_000))
    for batch in found:
        assert len({len(ids[place]) for place in batch}) == 1
        assert len(batch) <= 32
        assert sum(len(ids[place]) for place in batch) <= 500


def test_the_longest_run_first_and_alone_if_they_must():
    ids = [(7,) * 3, (7,) * 90, (7,) * 3, (7,) * 90]
    assert list(batches(ids, 8, 64)) == [[1], [3], [0, 2]]


def test_a_vector_does_not_depend_on_the_company(runtime):
    together = runtime.encode(TEXTS)
    assert together.shape == (len(TEXTS), runtime.hidden)
    assert together.dtype == np.float32
    for text, vector in zip(TEXTS, together, strict=True):
        assert runtime.encode([text])[0] == pytest.approx(vector, abs=1e-5)
        crowd = [f"{text} {number}" for number in range(9)]
        assert runtime.encode([*crowd, text])[-1] == pytest.approx(vector, abs=1e-5)


def test_the_order_and_the_size_of_batches_change_nothing(runtime):
    forwards = runtime.encode(TEXTS, batch_size=1)
    assert runtime.encode(TEXTS[::-1], batch_size=4)[::-1] == pytest.approx(forwards, abs=1e-5)


def test_nothing_in_nothing_out(runtime):
    assert runtime.encode([]).shape == (0, runtime.hidden)


def test_a_cancel_is_heard_between_batches(runtime):
    calls = []

    def stop():
        calls.append(1)
        if len(calls) == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        runtime.encode([f"sentence {number}" for number in range(500)], should_stop=stop)
    assert len(calls) == 3
    assert runtime.encode(["Still here."]).shape == (1, runtime.hidden)


def test_threads_share_a_runtime(runtime):
    expected = runtime.encode(TEXTS)
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(runtime.encode(TEXTS))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(np.allclose(each, expected, atol=1e-5) for each in found)


def test_a_damaged_encoder_is_named(checkpoint):
    with pytest.raises(ModelUnavailable, match="encoder"):
        Runtime(replace(checkpoint, encoder=checkpoint.encoder[:1000]))
