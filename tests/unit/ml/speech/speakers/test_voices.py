"""Real voices through the real encoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from ml.errors import Cancelled, ModelUnavailable
from ml.speech.speakers import voices as module
from ml.speech.speakers.voices import voices
from ml.stage import Span, Voice

Samples = Callable[[str], np.ndarray]


def heard(audio: np.ndarray, *speech: Span, offset: float = 0.0) -> list[Voice]:
    spans = speech or (Span(0.0, len(audio) / 16_000),)
    return voices(audio, spans, offset=offset, check=lambda: None)


def vectors(found: Sequence[Voice]) -> np.ndarray:
    return np.stack([np.frombuffer(voice.embedding, "<f2") for voice in found]).astype(np.float32)


def test_a_voice_is_like_itself_and_unlike_another(samples: Samples) -> None:
    president, reader = (
        vectors(heard(samples("jfk.flac"))),
        vectors(heard(samples("LJ001-0001.wav"))),
    )
    other_clip = vectors(heard(samples("LJ001-0002.wav")))
    assert (reader @ other_clip.T).mean() > 0.4
    assert (president @ president.T).mean() > 0.4
    assert (president @ reader.T).mean() < 0.15


def test_windows_are_short_unit_vectors_in_the_order_of_time(samples: Samples) -> None:
    found = heard(samples("LJ001-0001.wav"))
    assert found == sorted(found, key=lambda voice: voice.start)
    assert all(0 < voice.end - voice.start <= 2.0 for voice in found)
    assert vectors(found).shape == (len(found), 192)
    np.testing.assert_allclose(np.linalg.norm(vectors(found), axis=1), 1, atol=2e-3)


def test_speech_is_covered_and_the_silence_around_it_is_not(samples: Samples) -> None:
    quiet = np.random.default_rng(0).normal(0, 1e-4, 32_000).astype(np.float32)
    speech = samples("LJ001-0002.wav")
    found = heard(np.concatenate([quiet, speech, quiet]))
    assert found[0].start == pytest.approx(2.0, abs=0.3)
    assert found[-1].end == pytest.approx(2.0 + len(speech) / 16_000, abs=0.3)
    assert all(this.end >= following.start for this, following in pairwise(found))


def test_times_count_from_the_beginning_of_the_recording(samples: Samples) -> None:
    speech = samples("LJ001-0002.wav")
    here, later = heard(speech), heard(speech, offset=600.0)
    assert [voice.embedding for voice in later] == [voice.embedding for voice in here]
    starts = [voice.start + 600.0 for voice in here]
    assert [voice.start for voice in later] == pytest.approx(starts)


def test_only_the_stretches_of_speech_are_heard(samples: Samples) -> None:
    found = heard(samples("jfk.flac"), Span(3.2, 5.0), Span(8.0, 10.0))
    assert all(3.2 <= v.start < v.end <= 5.0 or 8.0 <= v.start < v.end <= 10.0 for v in found)
    assert {voice.start < 6 for voice in found} == {True, False}


@pytest.mark.parametrize("speech", [[], [Span(0.0, 0.02)], [Span(30.0, 31.0)]])
def test_where_there_is_nothing_to_hear_there_is_no_voice(speech: list[Span]) -> None:
    assert voices(np.zeros(16_000, np.float32), speech, offset=0.0, check=lambda: None) == []


def test_a_sound_without_any_energy_has_a_vector_all_the_same() -> None:
    assert np.isfinite(vectors(heard(np.zeros(16_000, np.float32)))).all()


def test_cancelling_ends_the_work(samples: Samples) -> None:
    def check() -> None:
        raise Cancelled()

    with pytest.raises(Cancelled):
        voices(samples("jfk.flac"), [Span(0.0, 11.0)], offset=0.0, check=check)


def test_damaged_weights_are_said_to_be(
    samples: Samples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = tmp_path / "voice_encoder.onnx"
    damaged.write_bytes(module.ENCODER.read_bytes()[:100_000])
    monkeypatch.setattr(module, "ENCODER", damaged)
    module._loaded.cache_clear()
    with pytest.raises(ModelUnavailable, match="voice encoder"):
        heard(samples("LJ001-0002.wav"))
