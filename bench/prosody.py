"""Pitch trackers beside each other: python bench/prosody.py --audio DIR.

DIR holds recordings of speech, read with every folder below it. Whatever is installed takes part:
swift-f0, which the pipeline uses, Praat (``praat-parselmouth``), pYIN (``librosa``) and WORLD's
Harvest (``pyworld``), each with its own idea of what is voiced. Prints how far the medians of the
recordings lie apart, how often a frame is an octave off, what each makes of sounds of known pitch
and of none, and how many times faster than real time it is on one thread. The last table says how
far noise moves what the pipeline measures.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent.parent))

from ml.results import Prosody, Word
from ml.source.decode import decode
from ml.source.wav import SAMPLE_RATE, read_span
from ml.speech.prosody import PITCH_CEILING, PITCH_FLOOR, prosody
from ml.stage import Span

FRAME_SAMPLES = 256
"""All answer every 16 ms."""
CLIP_SECONDS = 20.0
Audio = NDArray[np.float32]
Pitch = NDArray[np.float64]
"""Hz per frame; NaN where unvoiced."""
Tracker = Callable[[Audio], Pitch]


def swift_f0() -> Tracker:
    from swift_f0 import SwiftF0

    detector = SwiftF0(threads=1)

    def track(audio: Audio) -> Pitch:
        found = detector.detect(audio, SAMPLE_RATE, PITCH_FLOOR, PITCH_CEILING)
        return np.where(found.confidence >= 0.5, found.pitch_hz, np.nan)

    return track


def praat() -> Tracker:
    import parselmouth

    def track(audio: Audio) -> Pitch:
        sound = parselmouth.Sound(audio.astype(np.float64), SAMPLE_RATE)
        found = sound.to_pitch_ac(
            time_step=FRAME_SAMPLES / SAMPLE_RATE,
            pitch_floor=PITCH_FLOOR,
            pitch_ceiling=PITCH_CEILING,
        )
        times = np.arange(len(audio) // FRAME_SAMPLES) * FRAME_SAMPLES / SAMPLE_RATE
        return np.array([found.get_value_at_time(moment) for moment in times])

    return track


def pyin() -> Tracker:
    import librosa

    def track(audio: Audio) -> Pitch:
        found, _, _ = librosa.pyin(
            audio, fmin=PITCH_FLOOR, fmax=PITCH_CEILING, sr=SAMPLE_RATE, hop_length=FRAME_SAMPLES
        )
        return np.asarray(found)

    return track


def harvest() -> Tracker:
    import pyworld

    def track(audio: Audio) -> Pitch:
        found, _ = pyworld.harvest(
            audio.astype(np.float64),
            SAMPLE_RATE,
            f0_floor=PITCH_FLOOR,
            f0_ceil=PITCH_CEILING,
            frame_period=1000 * FRAME_SAMPLES / SAMPLE_RATE,
        )
        return np.where(found > 0, found, np.nan)

    return track


TRACKERS = {"swift-f0": swift_f0, "Praat": praat, "pYIN": pyin, "Harvest": harvest}


def installed() -> dict[str, Tracker]:
    """Return the trackers whose packages are there."""
    found: dict[str, Tracker] = {}
    for name, load in TRACKERS.items():
        try:
            found[name] = load()
        except ImportError:
            print(f"{name} is not installed and does not take part")
    return found


def recordings(directory: Path) -> Iterator[Audio]:
    """Yield the first seconds of every recording below a directory."""
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch, "decoded.wav")
        for path in sorted(directory.rglob("*")):
            if path.suffix in {".wav", ".flac", ".ogg", ".mp3"}:
                with path.open("rb") as file:
                    decode(file, target, max_seconds=3600.0)
                with target.open("rb") as wav:
                    yield read_span(wav, Span(0.0, CLIP_SECONDS))


def semitones(pitch: Pitch, reference: Pitch | float) -> Pitch:
    return np.asarray(12 * np.log2(pitch / reference))


def harmonic(frequencies: Pitch, harmonics: int, missing: int = 0) -> Audio:
    """Return a sound whose fundamental follows ``frequencies``, in Hz per sample."""
    phase = 2 * np.pi * np.cumsum(frequencies) / SAMPLE_RATE
    parts = [np.sin(n * phase) / n for n in range(1 + missing, harmonics + 1)]
    sound = np.sum(parts, axis=0)
    return np.asarray(0.3 * sound / np.abs(sound).max(), np.float32)


def whispered(speech: Audio) -> Audio:
    """Return speech without voice: its spectral envelope over 375 Hz, its phases at random."""
    size, hop, bins = 512, 128, 12
    window = np.hanning(size)
    phases = np.random.default_rng(2).uniform(0, 2 * np.pi, (len(speech) // hop, size // 2 + 1))
    sound = np.zeros(len(speech) + size)
    for frame, start in enumerate(range(0, len(speech) - size, hop)):
        magnitudes = np.abs(np.fft.rfft(window * speech[start : start + size]))
        envelope = np.sqrt(np.convolve(magnitudes**2, np.ones(bins) / bins, mode="same"))
        part = np.fft.irfft(envelope * np.exp(1j * phases[frame]))
        sound[start : start + size] += window * part
    return np.asarray(sound[: len(speech)] / 1.5, np.float32)


def known() -> dict[str, tuple[Audio, Pitch]]:
    """Return sounds, and the pitch of each in Hz per sample."""
    seconds = np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE
    pitches = {f"{hertz} Hz": np.full(len(seconds), float(hertz)) for hertz in (80, 120, 220, 440)}
    sounds = {name: (harmonic(pitch, 20), pitch) for name, pitch in pitches.items()}
    sounds["220 Hz sine"] = (harmonic(pitches["220 Hz"], 1), pitches["220 Hz"])
    sounds["220 Hz, missing"] = (harmonic(pitches["220 Hz"], 8, missing=1), pitches["220 Hz"])
    glide = 100 * 4 ** (seconds / seconds[-1])
    sounds["glide 100-400 Hz"] = (harmonic(glide, 10), glide)
    vibrato = 200 * 2 ** (np.sin(2 * np.pi * 5 * seconds) / 12)
    sounds["vibrato 200 Hz"] = (harmonic(vibrato, 10), vibrato)
    return sounds


def voiceless(speech: Audio) -> dict[str, Audio]:
    """Return sounds without a pitch."""
    noise = np.random.default_rng(1).normal(0, 1, 10 * SAMPLE_RATE)
    brown = np.cumsum(noise)
    brown -= np.convolve(brown, np.ones(801) / 801, mode="same")
    click = np.zeros(10 * SAMPLE_RATE)
    click[np.random.default_rng(4).integers(0, len(click), 60)] = 0.8
    return {
        "silence": np.zeros(10 * SAMPLE_RATE, np.float32),
        "quiet noise": np.asarray(0.001 * noise, np.float32),
        "white noise": np.asarray(0.1 * noise, np.float32),
        "brown noise": np.asarray(0.1 * brown / brown.std(), np.float32),
        "clicks": np.asarray(click, np.float32),
        "whisper": whispered(speech),
    }


def print_agreement(tracks: dict[str, list[Pitch]]) -> None:
    """Compare each tracker with the middle of the others, frame by frame and by medians."""
    print(
        f"\n{'speech':<18}{'voiced':>9}{'median off':>12}{'at most':>9}{'octaves':>9}{'gross':>8}"
    )
    for name, own in tracks.items():
        others = [found for other, found in tracks.items() if other != name]
        medians, errors, voiced = [], [], []
        for number, pitch in enumerate(own):
            middle = _middle([found[number] for found in others])
            both = ~np.isnan(pitch) & ~np.isnan(middle)
            voiced.append(np.mean(~np.isnan(pitch)))
            if both.any():
                medians.append(abs(semitones(np.nanmedian(pitch), np.nanmedian(middle))))
            errors.append(np.abs(semitones(pitch[both], middle[both])))
        frames = np.concatenate(errors)
        print(
            f"{name:<18}{np.mean(voiced):>9.0%}{np.mean(medians):>9.2f} st{max(medians):>6.2f} st"
            f"{np.mean(np.abs(frames - 12) < 1):>9.2%}{np.mean(frames > 3.16):>8.2%}"
        )


def _middle(pitches: Sequence[Pitch]) -> Pitch:
    """Return the median of the trackers where most of them hear a voice."""
    stacked = np.stack(pitches)
    few = np.mean(~np.isnan(stacked), axis=0) <= 0.5 * (len(pitches) > 1)
    stacked[:, few] = np.nan
    middle = np.full(stacked.shape[1], np.nan)
    middle[~few] = np.nanmedian(stacked[:, ~few], axis=0)
    return middle


def print_sounds(trackers: dict[str, Tracker], speech: Audio) -> None:
    """Print the errors on sounds of known pitch, and the share that is voiced without one."""
    print("\nKnown pitch: error in cents, and the share of frames that is taken for unvoiced.")
    print(f"{'':<22}" + "".join(f"{name:>12}" for name in trackers))
    for label, (sound, truth) in known().items():
        print(f"{label:<22}", end="")
        for track in trackers.values():
            pitch = track(sound)[10:-10]
            middle = truth[::FRAME_SAMPLES][10 : 10 + len(pitch)]
            heard = ~np.isnan(pitch)
            cents = np.abs(100 * semitones(pitch, middle))[heard]
            error = f"{np.median(cents):.1f}" if heard.any() else "-"
            print(f"{error:>6}{np.mean(~heard):>6.0%}", end="")
        print()
    print(f"\n{'voiced without pitch':<22}" + "".join(f"{name:>12}" for name in trackers))
    for label, sound in voiceless(speech).items():
        shares = [np.mean(~np.isnan(track(sound))) for track in trackers.values()]
        print(f"{label:<22}" + "".join(f"{share:>12.1%}" for share in shares))


def measured(clip: Audio) -> Prosody:
    word = Word("speech", 0.0, len(clip) / SAMPLE_RATE, 1.0)
    return prosody(clip, [word], start=0.0)


def print_noise(clips: Sequence[Audio]) -> None:
    """Print how far white noise moves the median pitch, the level and the pauses of speech."""
    print(
        f"\n{'noise':<18}{'median moves':>14}{'level moves':>13}{'pauses: seconds':>17}{'count':>7}"
    )
    quiet = [measured(clip) for clip in clips]
    generator = np.random.default_rng(6)
    for ratio in (np.inf, 20.0, 10.0, 5.0, 0.0):
        moved: list[tuple[float, float]] = []
        pauses: list[tuple[float, int]] = []
        for clip, before in zip(clips, quiet, strict=True):
            amplitude = 10 ** (((before.loudness or 0.0) - ratio) / 20)
            noise = generator.normal(0, amplitude, len(clip)).astype(np.float32)
            now = measured(clip + noise)
            pauses.append((now.pause_seconds, now.pauses))
            if now.pitch_median and before.pitch_median and now.loudness and before.loudness:
                semitone = abs(12 * np.log2(now.pitch_median / before.pitch_median))
                moved.append((semitone, now.loudness - before.loudness))
        (pitch, level), (seconds, count) = np.mean(moved, axis=0), np.sum(pauses, axis=0)
        name = "none" if ratio == np.inf else f"{ratio:.0f} dB below"
        print(f"{name:<18}{pitch:>11.2f} st{level:>10.1f} dB{seconds:>15.1f} s{count:>7.0f}")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audio", type=Path, required=True)
    arguments = parser.parse_args()
    clips = list(recordings(arguments.audio))
    if not clips:
        parser.error(f"{arguments.audio} holds no recordings")
    trackers = installed()
    total = sum(len(clip) for clip in clips) / SAMPLE_RATE
    print(f"{len(clips)} recordings, {total:.0f} s")
    tracks: dict[str, list[Pitch]] = {}
    for name, track in trackers.items():
        track(clips[0])
        began = time.perf_counter()
        tracks[name] = [track(clip)[: len(clip) // FRAME_SAMPLES] for clip in clips]
        print(f"{name:<18}{total / (time.perf_counter() - began):>7.0f} times real time")
    if len(tracks) > 1:
        print_agreement(tracks)
    print_sounds(trackers, clips[0])
    print_noise(clips)


if __name__ == "__main__":
    main()
