"""Seconds of work per stage for one recording: python bench/stages.py [RECORDING].

The first run loads the models, the second shows the work alone; both run the whole
pipeline in this process. Prints a table with each stage's share.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

from ml.options import PipelineOptions
from ml.pipeline import STAGES, Runner
from ml.stage import Input

SAMPLE = Path(__file__).parent.parent / "tests" / "data" / "jfk.flac"


def measure(recording: Path) -> tuple[dict[str, float], float]:
    """Return the seconds of each stage, and the recording's length in seconds."""
    seconds: dict[str, float] = {}
    for stage in STAGES:
        seconds[stage.name] = 0.0
    clock = {"stage": STAGES[0].name, "since": time.perf_counter()}

    def progress(stage: str, fraction: float, detail: str) -> None:
        if stage != clock["stage"]:
            now = time.perf_counter()
            seconds[str(clock["stage"])] += now - float(clock["since"])
            clock.update(stage=stage, since=now)

    analysis = Runner(PipelineOptions(), progress=progress).run(Input("file", str(recording)))
    seconds[str(clock["stage"])] += time.perf_counter() - float(clock["since"])
    return seconds, analysis.duration or 0.0


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recording", type=Path, nargs="?", default=SAMPLE)
    recording = parser.parse_args().recording
    cold, duration = measure(recording)
    warm, _ = measure(recording)
    total = sum(warm.values())
    print(f"{recording.name}: {duration:.1f} s of audio")
    print(f"{'stage':<12}{'first run':>11}{'warm':>9}{'share':>8}{'s per minute':>15}")
    for name, seconds in warm.items():
        share, rate = seconds / total, seconds / duration * 60
        print(f"{name:<12}{cold[name]:>9.2f} s{seconds:>7.2f} s{share:>8.0%}{rate:>15.2f}")
    rate = total / duration * 60
    print(f"{'all':<12}{sum(cold.values()):>9.2f} s{total:>7.2f} s{1:>8.0%}{rate:>15.2f}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{duration / total:.1f} times real time, peak memory {peak:.0f} MiB")


if __name__ == "__main__":
    main()
