"""What the speech benchmarks share: recordings made of clips, and word error rates."""

from __future__ import annotations

import re
import tempfile
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ml.source.decode import decode
from ml.source.wav import SAMPLE_RATE, read_span
from ml.stage import Span

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Reading:
    """Samples at 16 kHz, and the words that are read in them."""

    samples: Samples
    text: str

    @property
    def seconds(self) -> float:
        """Its length."""
        return len(self.samples) / SAMPLE_RATE


def clip(path: Path) -> Samples:
    """Return the samples of one audio file."""
    with tempfile.TemporaryDirectory() as directory, path.open("rb") as file:
        target = Path(directory, "clip.wav")
        decoded = decode(file, target, max_seconds=3600)
        with target.open("rb") as wav:
            return read_span(wav, Span(0.0, decoded.duration))


def readings(audio: Path) -> list[Reading]:
    """Return the LJSpeech clips below ``audio`` with their normalised transcripts."""
    folder = audio / "ljspeech"
    rows = [line.split("|") for line in (folder / "metadata.csv").read_text().splitlines()]
    return [Reading(clip(folder / f"{row[0]}.wav"), row[2]) for row in rows]


def joined(clips: list[Reading], seconds: float, seed: int = 0) -> Reading:
    """Return clips one after the other, shuffled again and again, with pauses of 0.1 to 1 s."""
    random = np.random.default_rng(seed)
    samples: list[Samples] = []
    texts: list[str] = []
    length = 0
    while length < seconds * SAMPLE_RATE:
        for number in random.permutation(len(clips)):
            pause = np.zeros(int(random.uniform(0.1, 1.0) * SAMPLE_RATE), np.float32)
            samples += [clips[number].samples, pause]
            texts.append(clips[number].text)
            length += len(clips[number].samples) + len(pause)
            if length >= seconds * SAMPLE_RATE:
                break
    return Reading(np.concatenate(samples), " ".join(texts))


def write(samples: Samples, path: Path) -> Path:
    """Write samples as a WAV file."""
    with wave.open(str(path), "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(SAMPLE_RATE)
        wav.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def bare(text: str) -> list[str]:
    """Return words in lower case, without punctuation; numbers stay as they are written."""
    return re.sub(r"[^a-z0-9' ]", " ", text.lower().replace("-", " ")).split()


@dataclass(frozen=True, slots=True)
class Errors:
    """How a transcript differs from what was read, in words."""

    substituted: int
    deleted: int
    inserted: int
    spoken: int

    @property
    def rate(self) -> float:
        """Word error rate, in percent."""
        return 100 * (self.substituted + self.deleted + self.inserted) / max(self.spoken, 1)


def errors(reference: str, hypothesis: str) -> Errors:
    """Return the fewest errors that lead from one text to the other (Levenshtein 1966)."""
    spoken, heard = bare(reference), bare(hypothesis)
    costs = np.zeros((len(spoken) + 1, len(heard) + 1), np.int32)
    costs[:, 0], costs[0] = range(len(spoken) + 1), range(len(heard) + 1)
    columns = np.arange(len(heard) + 1)
    for row, word in enumerate(spoken, 1):
        different = np.array([word != other for other in heard], np.int32)
        best = np.minimum(costs[row - 1, 1:] + 1, costs[row - 1, :-1] + different)
        whole = np.concatenate([[row], best])
        # The cheapest way from the left: each step costs one more.
        costs[row] = np.minimum.accumulate(whole - columns) + columns
    return _traced(spoken, heard, costs)


def _traced(spoken: list[str], heard: list[str], costs: npt.NDArray[np.int32]) -> Errors:
    row, column = len(spoken), len(heard)
    substituted = deleted = inserted = 0
    while row or column:
        cost = costs[row, column]
        if row and column:
            different = spoken[row - 1] != heard[column - 1]
            if cost == costs[row - 1, column - 1] + different:
                substituted += different
                row, column = row - 1, column - 1
                continue
        if row and cost == costs[row - 1, column] + 1:
            deleted, row = deleted + 1, row - 1
        else:
            inserted, column = inserted + 1, column - 1
    return Errors(int(substituted), deleted, inserted, len(spoken))
