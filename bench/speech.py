"""Speech recognition beside its peers: python bench/speech.py --audio DIR [--minutes N].

DIR holds ``ljspeech/`` with its ``metadata.csv``. Its clips are joined to one recording, and each
engine transcribes that file with the same weights (tiny.en) in the same run, in turn, several
times. Prints seconds, ratios to bare batched faster-whisper, word error rates, and what each
stage of the pipeline takes. openai-whisper is measured where it is installed (the environment
of ``make test-train``); it takes minutes, so it runs once, on the first two minutes.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from speech_material import clip, errors, joined, readings, write

from ml.artifacts import ArtifactStore
from ml.options import PipelineOptions
from ml.pipeline import STAGES, run_stage
from ml.processors import cores
from ml.source.wav import SAMPLE_RATE
from ml.speech.engines.weights import resolve
from ml.stage import Context, Input, Sentences

OURS = "emotion-clf, decode to sentences"
BARE = "faster-whisper batched by 16"
REFERENCE_SECONDS = 120.0


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


def reference() -> Callable[[Path], str] | None:
    """Return openai-whisper with the same weights, where it is installed."""
    if find_spec("whisper") is None:
        return None
    import sys

    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    from openai_weights import write_safetensors

    from ml.speech.engines.openai_whisper import from_safetensors

    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "tiny.en.safetensors")
        model = from_safetensors(write_safetensors(resolve("tiny.en"), file))
    return lambda path: str(model.transcribe(clip(path), language="en", fp16=False)["text"])


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
    print(f"{'':<42}{'seconds':>9}{'x real time':>13}{'to bare':>9}{'WER %':>8}{'words':>7}")
    for name, row in rows.items():
        wrong = errors(text, row.text)
        ratio = row.median / rows[base].median
        heard = wrong.spoken - wrong.deleted + wrong.inserted
        print(
            f"{name:<42}{row.median:>9.1f}{seconds / row.median:>13.1f}{ratio:>9.2f}"
            f"{wrong.rate:>8.2f}{heard:>7}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audio", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10.5)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    reading = joined(readings(chosen.audio), chosen.minutes * 60)
    pipeline = Pipeline()
    rows = {OURS: Row(pipeline)} | {name: Row(run) for name, run in peers().items()}
    with tempfile.TemporaryDirectory() as directory:
        recording = write(reading.samples, Path(directory, "recording.wav"))
        measure(rows, recording, chosen.rounds)
        print(f"{reading.seconds:.0f} s of read speech, {cores()} cores, tiny.en, int8, beam 5")
        print(f"median of {chosen.rounds} runs in turn, models loaded before\n")
        show(rows, reading.seconds, reading.text, BARE)
        print(f"\n{'stage':<12}{'seconds':>9}{'share':>8}{'s per minute of audio':>24}")
        total = sum(pipeline.stages.values())
        for name, seconds in pipeline.stages.items():
            per_minute = seconds / reading.seconds * 60
            print(f"{name:<12}{seconds:>9.2f}{seconds / total:>8.0%}{per_minute:>24.2f}")
        openai = reference()
        if openai is None:
            print("\nopenai-whisper is not installed here")
            return
        short = joined(readings(chosen.audio), REFERENCE_SECONDS)
        recording = write(short.samples, Path(directory, "short.wav"))
        few = {OURS: Row(pipeline), "openai-whisper": Row(openai)}
        measure(few, recording, 1)
        print(f"\n{len(short.samples) / SAMPLE_RATE:.0f} s of the same, ratios to the first")
        show(few, short.seconds, short.text, OURS)


if __name__ == "__main__":
    main()
