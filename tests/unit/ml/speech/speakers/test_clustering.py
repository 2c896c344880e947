"""Vectors of which it is known whose they are."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from ml.speech.speakers.clustering import centroids

SIZE = 192


def people(count: int) -> np.ndarray:
    """Return directions at right angles to each other."""
    return np.linalg.qr(np.random.default_rng(7).normal(size=(SIZE, count)))[0].T


def windows(voices: np.ndarray, who: np.ndarray, noise: float = 0.06) -> np.ndarray:
    """Return vectors about 0.77 like the voice that they come from."""
    vectors = voices[who] + np.random.default_rng(3).normal(0, noise, (len(who), SIZE))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def found(vectors: np.ndarray, fewest: int = 1, most: int = 10) -> np.ndarray:
    return centroids(vectors, np.full(len(vectors), 1.5, np.float32), fewest=fewest, most=most)


@pytest.mark.parametrize("count", [1, 2, 5, 9])
@pytest.mark.parametrize("length", [100, 2_500])
def test_every_voice_is_found_in_one_block_and_in_many(count: int, length: int) -> None:
    voices = people(count)
    who = np.arange(length) * count // length
    alike = found(windows(voices, who)) @ voices.T
    assert alike.shape == (count, count)
    assert sorted(alike.argmax(axis=0)) == list(range(count))
    assert alike.max(axis=0).min() > 0.9


def test_voices_in_noise_are_found_in_hours() -> None:
    voices = people(5)
    vectors = windows(voices, np.arange(10_000) // 2_000, noise=0.13)
    # Of a single window one can hardly say that it is like another of the same voice.
    assert np.mean(vectors[:200] @ vectors[:200].T) < 0.3
    alike = found(vectors) @ voices.T
    assert alike.shape == (5, 5)
    assert alike.max(axis=0).min() > 0.9


def test_memory_does_not_grow_with_the_square_where_nothing_is_alike() -> None:
    vectors = windows(people(1), np.zeros(10_000, int), noise=10.0)
    tracemalloc.start()
    voices = found(vectors)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert voices.shape[1] == SIZE
    # All cosines at once would take 400 MB.
    assert most < 60e6


def test_odd_sounds_are_not_speakers() -> None:
    voices = people(8)
    who = np.array([0] * 300 + [1] * 300 + [2, 3, 4, 5, 6, 7])
    assert len(found(windows(voices, who))) == 2


def test_a_speaker_needs_a_share_of_a_long_recording() -> None:
    voices = people(3)
    short, long = [0] * 50 + [1] * 50, [0] * 2_000 + [1] * 2_000
    assert len(found(windows(voices, np.array([*short, *[2] * 5])))) == 3
    assert len(found(windows(voices, np.array([*long, *[2] * 5])))) == 2


def test_no_more_than_the_most() -> None:
    vectors = windows(people(5), np.repeat(np.arange(5), 40))
    assert len(found(vectors, most=3)) == 3
    assert len(found(vectors, most=1)) == 1


def test_two_sides_of_one_voice_are_parted_where_two_are_asked_for() -> None:
    voices = people(2)
    sides = np.stack([voices[0] + 0.45 * voices[1], voices[0] - 0.45 * voices[1]])
    vectors = windows(sides, np.repeat([0, 1], 60), noise=0.03)
    assert len(found(vectors)) == 1
    assert len(found(vectors, fewest=2, most=2)) == 2


def test_there_are_no_more_voices_than_can_be_told_apart() -> None:
    assert len(found(windows(people(1), np.array([0])), fewest=4)) == 1
