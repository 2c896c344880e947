"""The encoder's features, against the numbers of another implementation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ml.speech.speakers.fbank import fbank

BANDS = [0, 10, 30, 60, 79]


@pytest.mark.parametrize(
    ("frame", "energies"),
    [
        (50, [-10.2905, -5.0234, -4.0009, -5.1859, -12.1286]),
        (400, [-10.5977, -6.3875, -5.8481, -5.3240, -9.6383]),
        (1000, [-10.6081, -4.7058, -2.7239, -5.2416, -10.3557]),
    ],
)
def test_the_energies_are_those_of_kaldi_native_fbank(
    samples: Callable[[str], np.ndarray], frame: int, energies: list[float]
) -> None:
    mels = fbank(samples("jfk.flac"))
    assert mels.shape == (1098, 80)
    assert mels.dtype == np.float32
    np.testing.assert_allclose(mels[frame, BANDS], energies, atol=2e-3)


def test_twenty_seconds_at_a_time_are_like_all_at_once(
    samples: Callable[[str], np.ndarray],
) -> None:
    speech = samples("jfk.flac")
    long = fbank(np.tile(speech, 3))
    np.testing.assert_allclose(long[:1098], fbank(speech), atol=1e-4)


@pytest.mark.parametrize("count", [0, 1, 399])
def test_less_than_a_frame_is_none(count: int) -> None:
    assert fbank(np.zeros(count, np.float32)).shape == (0, 80)
