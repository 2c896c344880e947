"""Speech recognition beside its peers: python bench/speech.py --audio DIR [peers reference].

DIR holds ``ljspeech/`` with its ``metadata.csv``. Its clips are joined to one recording, and each
engine transcribes that file with the same weights (tiny.en) in the same run, in turn, several
times. Prints seconds, ratios, and word error rates.

peers      faster-whisper's own ways, and what each stage of the pipeline takes
reference  openai-whisper, where it is installed (the environment of ``make test-train``)
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from speech_material import Reading, clip, errors, joined, readings, write

from ml.artifacts import ArtifactStore
from ml.options import PipelineOptions
from ml.pipeline import STAGES, run_stage
from ml.processors import cores
from ml.speech.engines.weights import resolve
from ml.stage import Context, Input, Sentences

OURS = "emotion-clf, decode to sentences"
BARE = "faster-whisper batched by 16"


@dataclass(slots=True)
class Row:
    """One engine's runs."""

    run: Callable[[Path], str]
    seconds: list[float] = field(default_factory=list)
    text: str = ""

    @property
    def median(self) -> float:
        """Seconds of its middle run."""
        return statistics.median(self.seconds)


class Pipeline:
    """The stages from decoding to sentences, as the in-process runner runs them."""

    def __init__(self) -> None:
        self.stages = {stage.name: 0.0 for stage in STAGES[:3]}

    def __call__(self, recording: Path) -> str:
        """Return the text; ``stages`` holds the seconds of each stage of this run."""
        with tempfile.TemporaryDirectory() as directory:
            store = ArtifactStore(f"file://{directory}/artifacts")
            keys: dict[str, list[str]] = {}
            parts = 1
            for stage in STAGES[:3]:
                began = time.perf_counter()
                keys[stage.name] = []
                for part in range(parts):
                    workdir = Path(directory, f"{stage.name}-{part}")
                    workdir.mkdir()
                    source = Input("file", str(recording))
                    context = Context(source, PipelineOptions(), store, workdir)
                    result = run_stage(stage, part, context, keys, scope="")
                    keys[stage.name].append(result.key)
                parts = result.next_parts
                self.stages[stage.name] = time.perf_counter() - began
            import msgspec

            said = msgspec.json.decode(store.read(result.key), type=Sentences)
        return " ".join(sentence.text for sentence in said.sentences)


def peers() -> dict[str, Callable[[Path], str]]:
    """Return faster-whisper's own ways to transcribe a file."""
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    weights = str(resolve("tiny.en").directory)
    model = WhisperModel(weights, device="cpu", compute_type="int8", cpu_threads=cores())
    batched = BatchedInferencePipeline(model)

    def told(transcribe: Callable[..., Any], **options: Any) -> Callable[[Path], str]:
        def run(path: Path) -> str:
            segments, _ = transcribe(str(path), language="en", **options)
            return " ".join(segment.text for segment in segments)

        return run

    once = {"word_timestamps": True}
    return {
        BARE: told(batched.transcribe, batch_size=16),
        "the same with word times": told(batched.transcribe, batch_size=16, **once),
        "the same with timestamp tokens": told(
            batched.transcribe, batch_size=16, without_timestamps=False, **once
        ),
        "faster-whisper one by one, word times": told(model.transcribe, **once),
        "the same, voice activity, no prompt": told(
            model.transcribe, vad_filter=True, condition_on_previous_text=False, **once
        ),
    }


def reference() -> dict[str, Callable[[Path], str]]:
    """Return openai-whisper with the same weights: as it comes, and asked for what we give."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    from openai_weights import write_safetensors

    from ml.speech.engines.openai_whisper import from_safetensors

    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "tiny.en.safetensors")
        model = from_safetensors(write_safetensors(resolve("tiny.en"), file))

    def told(**options: Any) -> Callable[[Path], str]:
        return lambda path: str(
            model.transcribe(clip(path), language="en", fp16=False, **options)["text"]
        )

    return {
        "openai-whisper, greedy": told(),
        "openai-whisper, beam 5, word times": told(beam_size=5, word_timestamps=True),
    }


def measure(rows: dict[str, Row], recording: Path, rounds: int) -> None:
    """Run every engine ``rounds`` times, in turn, after a first run that does not count."""
    for turn in range(rounds + 1):
        for row in rows.values():
            began = time.perf_counter()
            row.text = row.run(recording)
            if turn:
                row.seconds.append(time.perf_counter() - began)


def show(rows: dict[str, Row], seconds: float, text: str, base: str) -> None:
    """Print one line an engine."""
    print(f"{'':<42}{'seconds':>9}{'x real time':>13}{'ratio':>7}{'WER %':>8}{'words':>7}")
    for name, row in rows.items():
        wrong = errors(text, row.text)
        ratio = row.median / rows[base].median
        heard = wrong.spoken - wrong.deleted + wrong.inserted
        print(
            f"{name:<42}{row.median:>9.1f}{seconds / row.median:>13.1f}{ratio:>7.2f}"
            f"{wrong.rate:>8.2f}{heard:>7}"
        )


def compare(others: dict[str, Callable[[Path], str]], base: str, reading: Reading, n: int) -> None:
    """Measure the pipeline beside others, and print it with the pipeline's stages."""
    pipeline = Pipeline()
    rows = {OURS: Row(pipeline)} | {name: Row(run) for name, run in others.items()}
    with tempfile.TemporaryDirectory() as directory:
        measure(rows, write(reading.samples, Path(directory, "recording.wav")), n)
    print(f"\n{reading.seconds:.0f} s of read speech, {cores()} cores, tiny.en, median of {n} runs")
    print(f"in turn, models loaded before; ratios to {base}")
    show(rows, reading.seconds, reading.text, base)
    print(f"\n{'stage':<12}{'seconds':>9}{'share':>8}{'s per minute of audio':>24}")
    total = sum(pipeline.stages.values())
    for name, seconds in pipeline.stages.items():
        per_minute = seconds / reading.seconds * 60
        print(f"{name:<12}{seconds:>9.2f}{seconds / total:>8.0%}{per_minute:>24.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="*", default=["peers", "reference"])
    parser.add_argument("--audio", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    reading = joined(readings(chosen.audio), chosen.minutes * 60)
    if "peers" in chosen.what:
        compare(peers(), BARE, reading, chosen.rounds)
    if "reference" in chosen.what and find_spec("whisper") is None:
        print("\nopenai-whisper is not installed here")
    elif "reference" in chosen.what:
        compare(reference(), OURS, reading, chosen.rounds)


if __name__ == "__main__":
    main()
