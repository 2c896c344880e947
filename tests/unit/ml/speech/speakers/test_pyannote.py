"""What the pipeline finds becomes voices; its output is made by hand, its weights are gated."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import pytest
from pyannote.core import Annotation, Segment

from ml.errors import ExtraMissing
from ml.options import DiarizationOptions
from ml.speech.speakers.pyannote import require, voices, voices_of
from ml.speech.speakers.turns import Turn, turns


def installed() -> bool:
    try:
        return bool(version("pyannote.audio"))
    except PackageNotFoundError:
        return False


@dataclass
class DiarizeOutput:
    """The fields of pyannote.audio 4's class of this name."""

    speaker_diarization: Annotation
    exclusive_speaker_diarization: Annotation
    speaker_embeddings: np.ndarray


def annotation(*said: tuple[float, float, str]) -> Annotation:
    found = Annotation()
    for number, (start, end, label) in enumerate(said):
        found[Segment(start, end), number] = label
    return found


def direction(number: int, size: int = 256) -> np.ndarray:
    return 3.0 * np.eye(size)[number]


# The second interrupts the first; the third says too little for an embedding.
OUTPUT = DiarizeOutput(
    annotation(
        (0.5, 8.0, "SPEAKER_01"),
        (7.0, 15.0, "SPEAKER_00"),
        (15.2, 15.4, "SPEAKER_02"),
        (16.0, 22.00049, "SPEAKER_01"),
    ),
    annotation(
        (0.5, 7.5, "SPEAKER_01"),
        (7.5, 15.0, "SPEAKER_00"),
        (15.2, 15.4, "SPEAKER_02"),
        (16.0, 22.00049, "SPEAKER_01"),
    ),
    np.stack([direction(0), direction(1), np.zeros(256)]),
)


def test_turns_do_not_overlap_and_count_from_the_beginning_of_the_recording() -> None:
    times = [(voice.start, voice.end) for voice in voices_of(OUTPUT, offset=600.0)]
    assert times == [(600.5, 607.5), (607.5, 615.0), (616.0, 622.0)]


def test_each_turn_has_the_unit_vector_of_its_speaker() -> None:
    found = voices_of(OUTPUT, offset=0.0)
    vectors = np.stack([np.frombuffer(voice.embedding, "<f2") for voice in found])
    assert vectors.shape == (3, 256)
    assert vectors.argmax(axis=1).tolist() == [1, 0, 1]
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0)


@pytest.mark.parametrize("unheard", [0.0, np.nan])
def test_a_speaker_without_an_embedding_is_left_out(unheard: float) -> None:
    embeddings = np.stack([np.full(256, unheard), direction(1), direction(2)])
    output = DiarizeOutput(
        OUTPUT.speaker_diarization, OUTPUT.exclusive_speaker_diarization, embeddings
    )
    starts = [voice.start for voice in voices_of(output, offset=0.0)]
    assert starts == [0.5, 15.2, 16.0]


def test_where_nobody_speaks_there_are_no_voices() -> None:
    silent = DiarizeOutput(annotation(), annotation(), np.zeros((0, 256)))
    assert voices_of(silent, offset=0.0) == []


def test_the_speakers_of_two_parts_are_joined_by_their_voices() -> None:
    other = DiarizeOutput(
        annotation((1.0, 9.0, "SPEAKER_00")),
        annotation((1.0, 9.0, "SPEAKER_00")),
        direction(0)[None],
    )
    heard = voices_of(OUTPUT, offset=0.0) + voices_of(other, offset=600.0)
    assert turns(heard, DiarizationOptions(enabled=True, method="pyannote")) == [
        Turn(0.5, 7.5, "A"),
        Turn(7.5, 15.0, "B"),
        Turn(16.0, 22.0, "A"),
        Turn(601.0, 609.0, "B"),
    ]


@pytest.mark.skipif(installed(), reason="pyannote.audio is installed")
def test_without_the_package_the_error_names_the_command_that_installs_it() -> None:
    with pytest.raises(ExtraMissing, match=r"emotion-clf\[pyannote\]"):
        require()
    with pytest.raises(ExtraMissing, match=r"emotion-clf\[pyannote\]"):
        voices(np.zeros(16_000, np.float32), offset=0.0, check=lambda: None)
