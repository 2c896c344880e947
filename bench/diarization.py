"""How well speakers are told apart: python bench/diarization.py --audio DIR [--tuning].

DIR holds librispeech_test_other/, ami/ and noise_music/. Prints the diarization error rate of
pyannote.metrics (missed speech + false alarm + confusion, over speech): for conversations joined
from the LibriSpeech readers, whose turns are known, some of them with noise, and for two
stretches of AMI meetings as they are. Its ``collar`` is the whole width left
out around each reference boundary: 0.25 leaves out 0.125 s on either side, 0.5 is what NIST
calls a collar of 0.25 s. Overlapping speech counts.

The five voices of these readers are the test, so the threshold that decides how many speakers
there are was chosen on others, which ``--tuning`` shows: the reader of ljspeech/, jfk/, the actor
of crema_d_clips/ and the two people of the meeting dev00, which therefore is no test either.
Where pauses begin and how much a speaker has to say at least was judged on both, with noise and
without; the former moves missed speech and false alarm, not who is who.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyannote.core import Annotation, Segment, Timeline
from pyannote.metrics.diarization import DiarizationErrorRate
from speech_material import clip

from ml.options import DiarizationOptions
from ml.processors import cores
from ml.source.wav import SAMPLE_RATE
from ml.speech.activity import speech_probabilities, speech_regions
from ml.speech.speakers import clustering
from ml.speech.speakers.turns import Turn, turns
from ml.speech.speakers.voices import voices
from ml.stage import Voice

Samples = NDArray[np.float32]

COLLARS = (0.0, 0.25, 0.5)
WANTED_RATE, WANTED_COLLAR, WANTED_COUNTS = 0.08, 0.25, 0.9
CONVERSATIONS = 24
TURNS = 16
PAUSES = (0.2, 1.0)
SHORT_TURNS = (1.0, 3.0)
SHORT_SHARE = 0.4
ROOM = 3e-4
"""Amplitude of the noise that is heard in the pauses: about -70 dB."""


NOISY = 8
"""Conversations that are heard once more with noise."""
NOISE_DECIBELS = 10.0
"""Speech above noise."""
TUNING_CONVERSATIONS = 16
ALONE = 12
"""Clips that one voice says with nobody else."""
THRESHOLDS = (0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5)


@dataclass(frozen=True, slots=True)
class Conversation:
    """A recording and who speaks when in it."""

    name: str
    samples: Samples
    turns: Sequence[Turn]

    @property
    def seconds(self) -> float:
        """Its length."""
        return len(self.samples) / SAMPLE_RATE

    @property
    def speakers(self) -> int:
        """How many people speak."""
        return len({turn.speaker for turn in self.turns})


@dataclass(frozen=True, slots=True)
class Heard:
    """What was made of a conversation up to the clustering."""

    conversation: Conversation
    voices: Sequence[Voice]
    activity_seconds: float
    voices_seconds: float


def hear(conversation: Conversation) -> Heard:
    began = time.perf_counter()
    speech = speech_regions(speech_probabilities(conversation.samples))
    active = time.perf_counter()
    found = voices(conversation.samples, speech, offset=0.0, check=lambda: None)
    return Heard(conversation, found, active - began, time.perf_counter() - active)


def joined(readers: Mapping[str, Sequence[Samples]], speakers: int, seed: int) -> Conversation:
    """Return turns of readers, never two by the same in a row, each reader at least once."""
    random = np.random.default_rng(seed)
    order = list(random.permutation(sorted(readers))[:speakers])
    while len(order) < TURNS:
        order.append(random.choice([name for name in order[:speakers] if name != order[-1]]))
    samples, said, length = [], [], 0
    for name in order:
        pause = round(random.uniform(*PAUSES) * SAMPLE_RATE)
        speech = _turn(readers[name][random.integers(len(readers[name]))], random)
        begin = length + pause
        length = begin + len(speech)
        samples += [np.zeros(pause, np.float32), speech]
        said.append(Turn(begin / SAMPLE_RATE, length / SAMPLE_RATE, str(name)))
    room = random.normal(0, ROOM, length).astype(np.float32)
    return Conversation(f"{speakers} speakers", np.concatenate(samples) + room, said)


def _turn(speech: Samples, random: np.random.Generator) -> Samples:
    if random.random() > SHORT_SHARE:
        return speech
    length = min(round(random.uniform(*SHORT_TURNS) * SAMPLE_RATE), len(speech))
    begin = int(random.integers(len(speech) - length + 1))
    return trimmed(speech[begin : begin + length])


def trimmed(speech: Samples) -> Samples:
    """Return a clip without the silence at its ends."""
    frame = SAMPLE_RATE // 100
    power = np.square(speech[: len(speech) // frame * frame]).reshape(-1, frame).mean(axis=1)
    loud = np.flatnonzero(power > 1e-4 * np.quantile(power, 0.95))
    return speech[loud[0] * frame : (loud[-1] + 1) * frame]


def readers(folder: Path) -> dict[str, list[Samples]]:
    """Return the clips of each reader; the name is what stands before the first dash."""
    found: dict[str, list[Samples]] = {}
    for path in sorted(folder.glob("*.flac")):
        found.setdefault(path.name.split("-")[0], []).append(trimmed(clip(path)))
    return found


def noises(audio: Path) -> list[tuple[str, Samples]]:
    """Return what conversations are made harder with."""
    music = clip(audio / "noise_music" / "Kevin_MacLeod_-_Vibe_Ace.ogg")
    white = np.random.default_rng(0).normal(size=60 * SAMPLE_RATE).astype(np.float32)
    return [("music", music), ("white noise", white)]


def mixed(conversation: Conversation, noise: Samples) -> Conversation:
    samples = conversation.samples
    noise = np.resize(noise, len(samples))
    ratio = np.square(samples).mean() / np.square(noise).mean() / 10 ** (NOISE_DECIBELS / 10)
    return replace(conversation, samples=samples + np.sqrt(ratio) * noise)


def meeting(path: Path) -> Conversation:
    """Return a recording with the turns in the RTTM file beside it."""
    rows = [line.split() for line in path.with_suffix(".rttm").read_text().splitlines()]
    said = [Turn(float(row[3]), float(row[3]) + float(row[4]), row[7]) for row in rows]
    return Conversation(path.stem, clip(path), said)


def annotation(said: Iterable[Turn]) -> Annotation:
    found = Annotation()
    for number, turn in enumerate(said):
        found[Segment(turn.start, turn.end), number] = turn.speaker
    return found


@dataclass(frozen=True, slots=True)
class Score:
    """Error rates by collar, their parts at the wanted one, and how often the count was right."""

    rates: Mapping[float, float]
    missed: float
    false_alarm: float
    confusion: float
    right: int
    of: int

    def row(self, name: str) -> str:
        """Return the row of a table."""
        rates = "".join(f"{self.rates[collar]:>9.1%}" for collar in COLLARS)
        parts = f"{self.missed:>9.1%}{self.false_alarm:>9.1%}{self.confusion:>9.1%}"
        return f"{name:<30}{rates}{parts}{self.right:>7} of {self.of}"


HEADER = (
    f"{'':<30}{'error rate at collar':>27}{f'at {WANTED_COLLAR}':>27}\n{'':<30}"
    + "".join(f"{collar:>9}" for collar in COLLARS)
    + f"{'missed':>9}{'false':>9}{'confused':>9}{'count right':>13}"
)


def score(heard: Sequence[Heard], options: Callable[[Conversation], DiarizationOptions]) -> Score:
    metrics = {collar: DiarizationErrorRate(collar=collar) for collar in COLLARS}
    right = 0
    for each in heard:
        truth = each.conversation
        found = turns(each.voices, options(truth))
        right += len({turn.speaker for turn in found}) == truth.speakers
        whole = Timeline([Segment(0, truth.seconds)])
        for metric in metrics.values():
            metric(annotation(truth.turns), annotation(found), uem=whole)
    parts: Mapping[str, Any] = metrics[WANTED_COLLAR][:]
    total = parts["total"]
    return Score(
        {collar: abs(metric) for collar, metric in metrics.items()},
        parts["missed detection"] / total,
        parts["false alarm"] / total,
        parts["confusion"] / total,
        right,
        len(heard),
    )


def found(conversation: Conversation) -> DiarizationOptions:
    return DiarizationOptions(enabled=True)


def given(conversation: Conversation) -> DiarizationOptions:
    return DiarizationOptions(enabled=True, speakers=conversation.speakers)


def conversations(audio: Path) -> list[Conversation]:
    people = readers(audio / "librispeech_test_other")
    return [joined(people, 2 + seed % 4, seed) for seed in range(CONVERSATIONS)]


def report(audio: Path) -> None:
    heard = [hear(each) for each in conversations(audio)]
    print(HEADER)
    for speakers in sorted({each.conversation.speakers for each in heard}):
        some = [each for each in heard if each.conversation.speakers == speakers]
        print(score(some, found).row(f"joined, {speakers} speakers"))
    overall = score(heard, found)
    print(overall.row("joined, all"))
    print(score(heard, given).row("joined, count given"))
    for name, noise in noises(audio):
        noisy = [hear(mixed(each.conversation, noise)) for each in heard[:NOISY]]
        print(score(noisy, found).row(f"joined, {name} at {NOISE_DECIBELS:.0f} dB"))
    for name in ("dev00", "tst01"):
        one = [hear(meeting(audio / "ami" / f"{name}.wav"))]
        print(score(one, found).row(f"AMI {name}"))
        print(score(one, given).row(f"AMI {name}, count given"))
    right = overall.right >= WANTED_COUNTS * len(heard)
    reached = right and overall.rates[WANTED_COLLAR] <= WANTED_RATE
    print(
        f"\nwanted: {WANTED_RATE:.0%} at collar {WANTED_COLLAR}, count right in 9 of 10:", end=" "
    )
    print("reached" if reached else "missed")
    _report_speed(heard)


def _report_speed(heard: Sequence[Heard]) -> None:
    minutes = sum(each.conversation.seconds for each in heard) / 60
    began = time.perf_counter()
    for each in heard:
        turns(each.voices, found(each.conversation))
    rows = {
        "voice activity": sum(each.activity_seconds for each in heard),
        "voices": sum(each.voices_seconds for each in heard),
        "turns": time.perf_counter() - began,
    }
    print(f"\n{minutes:.1f} minutes of audio on {cores()} cores")
    for name, seconds in rows.items():
        speed = minutes * 60 / seconds
        print(f"{name:<16}{seconds / minutes:>8.3f} s a minute{speed:>8.0f} times real time")


def tuning(audio: Path) -> None:
    """Print what the threshold between two voices does to voices that are not the test's."""
    people = tuning_voices(audio)
    alone = [hear(monologue(name, clips)) for name, clips in people.items()]
    seeds = range(100, 100 + TUNING_CONVERSATIONS)
    several = [hear(joined(people, 2 + seed % 4, seed)) for seed in seeds]
    print(HEADER)
    for threshold in THRESHOLDS:
        clustering.ALIKE = threshold
        lone = score(alone, found)
        name = f"cosine {threshold} ({lone.right} of {lone.of} alone)"
        print(score(several, found).row(name))


def tuning_voices(audio: Path) -> dict[str, list[Samples]]:
    """Return the clips of five voices, by name."""
    meeting_samples = clip(audio / "ami" / "dev00.wav")

    def stretches(*spans: tuple[float, float]) -> list[Samples]:
        cuts = [slice(*(round(time * SAMPLE_RATE) for time in span)) for span in spans]
        return [trimmed(meeting_samples[cut]) for cut in cuts]

    acted = [path for path in (audio / "crema_d_clips").glob("*.wav") if path.stem != "SAD"]
    return {
        "ljspeech": [trimmed(clip(path)) for path in sorted((audio / "ljspeech").glob("*.wav"))],
        "jfk": [trimmed(part) for part in np.array_split(clip(audio / "jfk" / "jfk.flac"), 3)],
        "crema": [trimmed(clip(path)) for path in sorted(acted)],
        "MEE009": stretches((1.9, 4.1), (6.4, 10.2), (10.2, 13.0), (24.2, 26.1)),
        "MEE012": stretches((13.2, 16.9), (20.7, 21.6), (26.8, 28.1)),
    }


def monologue(name: str, clips: Sequence[Samples]) -> Conversation:
    pause = np.zeros(SAMPLE_RATE // 2, np.float32)
    order = (clips[number % len(clips)] for number in range(ALONE))
    samples = np.concatenate([part for speech in order for part in (speech, pause)])
    return Conversation(name, samples, [Turn(0.0, len(samples) / SAMPLE_RATE, name)])


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--audio", type=Path, required=True)
    parser.add_argument("--tuning", action="store_true", help="the other voices, by threshold")
    arguments = parser.parse_args()
    (tuning if arguments.tuning else report)(arguments.audio)


if __name__ == "__main__":
    main()
