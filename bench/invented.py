"""Words that nobody said: python bench/invented.py --audio DIR [--seconds N].

DIR holds ``ljspeech/`` with its ``metadata.csv``, ``jfk/jfk.flac`` and ``noise_music/``. The
pipeline and plain faster-whisper, with its defaults and with its own voice activity filter, hear
the same files with the same weights (tiny.en, int8) in the same run:

- sounds in which nobody speaks, ``--seconds`` each: every word is invented;
- speech under music at several signal-to-noise ratios, with five seconds of music alone after
  each clip: word error rate, and the words invented in those gaps;
- what makes Whisper repeat itself: speech that noise cuts off, words that are said over and over.

Invented are, where nobody speaks at some time, the words whose middle lies there, else those that
have no counterpart in what was said; full stops alone are no words. Times come from the
recognisers, so word times are switched on in all three. faster-whisper draws by chance where it
is unsure, so its figures change a little from run to run.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from sounds import Samples, level, noise, wordless
from speech_material import Reading, clip, errors, readings, write

from ml.artifacts import ArtifactStore
from ml.options import PipelineOptions
from ml.pipeline import STAGES, run_stage
from ml.processors import cores
from ml.results import Word
from ml.source.wav import SAMPLE_RATE
from ml.speech.engines.weights import resolve
from ml.stage import Context, Input, Span, Transcript

Recogniser = Callable[[Path], list[Word]]

RATIOS = (20, 10, 5, 0)
"""Speech to music, in dB."""
GAP_SECONDS = 5.0
EDGE_SECONDS = 0.5
"""Words so near to speech are not counted as invented: times are not that exact."""
REFRAIN = "do for your country"
REFRAIN_AT = Span(9.35, 10.4)
"""Where jfk.flac says it for the last time."""
CUT_SECONDS = 5.35
CUT_TEXT = "printing in the only sense with which we are at present concerned differs from"
"""What LJ001-0001 says until then; the next word is cut off."""
JFK = (
    "and so my fellow americans ask not what your country can do for you "
    "ask what you can do for your country"
)


@dataclass(frozen=True, slots=True)
class Trial:
    """A recording, what is said in it, and where nothing is."""

    name: str
    samples: Samples
    text: str = ""
    gaps: tuple[Span, ...] = ()


def trials(audio: Path, seconds: float) -> Iterator[Trial]:
    """Yield every recording, group by group."""
    music = clip(audio / "noise_music" / "Kevin_MacLeod_-_Vibe_Ace.ogg")
    for name, samples in wordless(seconds).items():
        yield Trial(name, samples)
    yield Trial("music", music)
    yield Trial("dog bark", clip(audio / "noise_music" / "esc10_dog_1-100032-A-0.wav"))
    clips = readings(audio)
    yield under(clips, np.zeros(1, np.float32), None)
    for ratio in RATIOS:
        yield under(clips, music, ratio)
    yield from repetitive(clips, clip(audio / "jfk" / "jfk.flac"))


def under(clips: list[Reading], music: Samples, ratio: int | None) -> Trial:
    """Return clips with a gap after each, under music so many dB below the speech."""
    silence = np.zeros(int(GAP_SECONDS * SAMPLE_RATE), np.float32)
    speech = np.concatenate([part for each in clips for part in (each.samples, silence)])
    gaps: list[Span] = []
    now = 0.0
    for each in clips:
        now += each.seconds
        gaps.append(Span(now + EDGE_SECONDS, now + GAP_SECONDS - EDGE_SECONDS))
        now += GAP_SECONDS
    text = " ".join(each.text for each in clips)
    if ratio is None:
        return Trial("speech with pauses", speech, text, tuple(gaps))
    spoken = np.concatenate([each.samples for each in clips])
    power = np.sqrt(np.mean(np.square(spoken)) / np.mean(np.square(music)))
    mixed = speech + np.resize(music, len(speech)) * power * 10 ** (-ratio / 20)
    # What would be clipped is turned down as a whole: that changes no ratio.
    mixed /= max(1.0, float(np.abs(mixed).max()))
    return Trial(f"speech under music, {ratio} dB", mixed.astype(np.float32), text, tuple(gaps))


def repetitive(clips: list[Reading], jfk: Samples) -> Iterator[Trial]:
    """Yield speech that sends Whisper into loops, and speech that only sounds like one."""
    begun = clips[0].samples[: int(CUT_SECONDS * SAMPLE_RATE)]
    rush = level(noise("white", 20.0), -15)
    for name, rest in {"noise": rush, "silence": np.zeros_like(rush)}.items():
        after = Span(CUT_SECONDS + EDGE_SECONDS, CUT_SECONDS + 20.0)
        samples = np.concatenate([begun, rest])
        yield Trial(f"speech cut off by {name}", samples, CUT_TEXT, (after,))
    refrain = jfk[int(REFRAIN_AT.start * SAMPLE_RATE) : int(REFRAIN_AT.end * SAMPLE_RATE)]
    pause = np.zeros(int(0.3 * SAMPLE_RATE), np.float32)
    for times in (3, 6, 12):
        again = np.tile(np.concatenate([pause, refrain]), times - 1)
        text = " ".join([JFK, *[REFRAIN] * (times - 1)])
        yield Trial(f"a refrain, {times} times", np.concatenate([jfk, again]), text)


def pipeline(path: Path) -> list[Word]:
    """Return what this project hears: fetch and transcribe, as the in-process runner does."""
    with tempfile.TemporaryDirectory() as directory:
        store = ArtifactStore(f"file://{directory}/artifacts")
        keys: dict[str, list[str]] = {}
        parts = 1
        for stage in STAGES[:2]:
            keys[stage.name] = []
            for part in range(parts):
                workdir = Path(directory, f"{stage.name}-{part}")
                workdir.mkdir()
                context = Context(Input("file", str(path)), PipelineOptions(), store, workdir)
                result = run_stage(stage, part, context, keys, scope="")
                keys[stage.name].append(result.key)
            parts = result.next_parts
        heard = [msgspec.json.decode(store.read(k), type=Transcript) for k in keys["transcribe"]]
    return [word for transcript in heard for word in transcript.words]


def recognisers() -> dict[str, Recogniser]:
    """Return the pipeline, and faster-whisper as its README calls it."""
    from faster_whisper import WhisperModel

    weights = str(resolve("tiny.en").directory)
    model = WhisperModel(weights, device="cpu", compute_type="int8", cpu_threads=cores())

    def plain(path: Path, *, vad_filter: bool) -> list[Word]:
        segments, _ = model.transcribe(str(path), word_timestamps=True, vad_filter=vad_filter)
        return [
            Word(word.word.strip(), float(word.start), float(word.end), float(word.probability))
            for segment in segments
            for word in segment.words
        ]

    return {
        "emotion-clf": pipeline,
        "faster-whisper": lambda path: plain(path, vad_filter=False),
        "with vad_filter": lambda path: plain(path, vad_filter=True),
    }


def judged(trial: Trial, words: list[Word]) -> tuple[float | None, int]:
    """Return the word error rate in percent, None where nothing is said, and invented words."""
    words = [word for word in words if any(c.isalnum() for c in word.text)]
    if not trial.text:
        return None, len(words)
    wrong = errors(trial.text, " ".join(word.text for word in words))
    if not trial.gaps:
        return wrong.rate, wrong.inserted
    middles = [(word.start + word.end) / 2 for word in words]
    return wrong.rate, sum(gap.start < time < gap.end for time in middles for gap in trial.gaps)


def shown(trial: Trial, results: list[tuple[float | None, int]]) -> str:
    """Return one line of the table."""
    cells = [
        f"{'' if rate is None else f'{rate:.1f}':>13}{invented:>11}" for rate, invented in results
    ]
    return f"{trial.name:<28}{len(trial.text.split()) or '':>6}{''.join(cells)}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audio", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each wordless sound")
    parser.add_argument("--texts", action="store_true", help="print what was heard as well")
    arguments = parser.parse_args()
    engines = recognisers()
    print(f"{'':<28}{'words':>6}" + "".join(f"{name:>24}" for name in engines))
    print(f"{'':<28}{'said':>6}" + f"{'WER %   invented':>24}" * len(engines))
    totals = [0] * len(engines)
    with tempfile.TemporaryDirectory() as directory:
        for trial in trials(arguments.audio, arguments.seconds):
            path = write(trial.samples, Path(directory, "trial.wav"))
            heard = {name: recognise(path) for name, recognise in engines.items()}
            results = [judged(trial, words) for words in heard.values()]
            totals = [a + b for a, (_, b) in zip(totals, results, strict=True)]
            print(shown(trial, results), flush=True)
            for name, words in heard.items() if arguments.texts else ():
                print(f"    {name}: {' '.join(word.text for word in words)}")
    print(f"{'all':<34}" + "".join(f"{total:>24}" for total in totals))


if __name__ == "__main__":
    main()
