"""How a sentence sounds: its loudness, pitch, rate and pauses, measured on the audio itself.

Where somebody speaks is told by the voice activity detector and not by the times of the words:
recognisers give the silence after a word to that word or to the next one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ml.results import Prosody, Word
from ml.source.wav import SAMPLE_RATE
from ml.speech.activity import FRAME_SAMPLES, FRAME_SECONDS, speech_probabilities

if TYPE_CHECKING:
    from swift_f0 import SwiftF0

PITCH_FLOOR = 60.0
PITCH_CEILING = 800.0
"""Between these, in Hz, lies the fundamental of speech: of a deep voice, and of a scream."""
PAUSE_SECONDS = 0.25
"""A shorter silence belongs to a consonant (Goldman-Eisler, Psycholinguistics, 1968)."""
MIN_SPEECH_SECONDS = 0.1
"""Nothing is said of the pitch or the rate of less speech than this."""
_SPEECH = 0.5
_VOICED = 0.5
"""The probabilities from which the two detectors mean speech and voice."""
_MIN_SHARE = 0.25
"""Speech fills 43 % of a clip and more, silent ends included, and single frames of other sounds."""
_PITCH_FRAMES = 2
"""As many frames of the pitch tracker, of 16 ms, make one of the activity detector."""
_SILENCE = 10**-7.0
"""Power of what is never counted as sound: -70 dB (ITU-R BS.1770)."""

Audio = npt.NDArray[np.float32]
Frames = npt.NDArray[np.bool_]


def prosody(audio: Audio, words: Sequence[Word], *, start: float) -> Prosody:
    """Measure one sentence.

    What cannot be measured is None: the level of silence, the pitch of a whisper, the rate where
    there are no words. Where the detector hears speech in less than a quarter of the sentence, as
    it may in a scream, it is not believed and everything counts as speech.

    Args:
        audio: samples in -1..1 at 16 kHz, of at most some 20 s; what lies before the first word
            and after the last one is left out.
        words: the words of the sentence, timed from the beginning of the recording.
        start: where ``audio`` begins in the recording, in seconds.

    """
    spoken, speech = _trimmed(_between(audio, words, start))
    seconds = len(speech) * FRAME_SECONDS
    pauses = _pauses(speech)
    pitch_median, pitch_range = _pitch(spoken, speech)
    return Prosody(
        loudness=_level(spoken, speech),
        pitch_median=pitch_median,
        pitch_range=pitch_range,
        speaking_rate=(
            round(len(words) / seconds, 2) if words and seconds >= MIN_SPEECH_SECONDS else None
        ),
        pause_seconds=round(sum(pauses, start=0.0), 3),
        pauses=len(pauses),
    )


def _between(audio: Audio, words: Sequence[Word], start: float) -> Audio:
    """Return the audio from the first word to the last; all of it where there are none."""
    if not words:
        return audio
    first, last = (
        max(0, round((moment - start) * SAMPLE_RATE)) for moment in (words[0].start, words[-1].end)
    )
    return audio[first:last]


def _trimmed(audio: Audio) -> tuple[Audio, Frames]:
    """Return the audio from the first frame with speech to the last, and which frames have it."""
    speech = speech_probabilities(audio) >= _SPEECH
    if np.sum(speech) < _MIN_SHARE * len(speech):
        speech[:] = True
    where = np.flatnonzero(speech)
    frames = slice(where[0], where[-1] + 1) if len(where) else slice(0, 0)
    return audio[frames.start * FRAME_SAMPLES : frames.stop * FRAME_SAMPLES], speech[frames]


def _pauses(speech: Frames) -> list[float]:
    """Return the length of each pause, in seconds."""
    gaps = (np.diff(np.flatnonzero(speech)) - 1) * FRAME_SECONDS
    return [float(gap) for gap in gaps if gap >= PAUSE_SECONDS]


def _level(audio: Audio, speech: Frames) -> float | None:
    """Return the mean power of the frames with speech, in dB.

    Full scale is that of ITU-T G.100.1: a sine that reaches it has -3.01 dB. On read speech this
    lies 0.5 dB above the active speech level of ITU-T P.56, which tells speech from pauses by
    their level and so hears no pause in noise.
    """
    power = np.square(audio, dtype=np.float64).reshape(-1, FRAME_SAMPLES).mean(axis=1)[speech]
    power = power[power > _SILENCE]
    return round(float(10 * np.log10(power.mean())), 2) if power.size else None


def _pitch(audio: Audio, speech: Frames) -> tuple[float | None, float | None]:
    """Return the median in Hz, and the range from the 5th to the 95th percentile in semitones.

    Percentiles, because a tracker is now and then an octave off. The tracker is swift-f0
    (Nieradzik, SwiftF0: Fast and Accurate Monophonic Pitch Detection, 2025).
    """
    if not speech.size:
        return None, None
    found = _tracker().detect(audio, SAMPLE_RATE, PITCH_FLOOR, PITCH_CEILING)
    voiced = (found.confidence >= _VOICED) & np.repeat(speech, _PITCH_FRAMES)
    pitch = found.pitch_hz[voiced]
    if len(pitch) * FRAME_SECONDS / _PITCH_FRAMES < MIN_SPEECH_SECONDS:
        return None, None
    low, median, high = np.percentile(pitch, (5, 50, 95))
    return round(float(median), 1), round(float(12 * np.log2(high / low)), 2)


@lru_cache(maxsize=1)
def _tracker() -> SwiftF0:
    from swift_f0 import SwiftF0

    # One thread that sleeps between sentences: a worker shares its cores with other work.
    return SwiftF0(threads=1, spin=False)
