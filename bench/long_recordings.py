"""Long recordings: python bench/long_recordings.py --audio DIR [--hours N] [memory workers cuts].

DIR holds ``ljspeech/`` with its ``metadata.csv``, whose clips are joined to long recordings.

memory   peak memory of the whole pipeline for one minute and for ``--hours``
workers  four parts of one recording on one core, and on two by two workers
cuts     a recording that is cut every minute beside the same one uncut
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from multiprocessing.synchronize import Barrier
from pathlib import Path

import msgspec
from speech_material import bare, errors, joined, readings, write

from ml.artifacts import ArtifactStore
from ml.options import PipelineOptions, SourceOptions, TranscriptionOptions
from ml.pipeline import STAGES, Runner, run_stage
from ml.speech.engines.choice import warm
from ml.stage import Context, Input, Transcript

FETCH, TRANSCRIBE = STAGES[:2]
UNCUT = SourceOptions(part_seconds=1e6)


def _context(recording: Path, directory: Path, options: PipelineOptions) -> Context:
    store = ArtifactStore(f"file://{directory}/artifacts")
    workdir = Path(tempfile.mkdtemp(dir=directory))
    return Context(Input("file", str(recording)), options, store, workdir)


def _transcript(recording: Path, source: SourceOptions) -> tuple[str, int]:
    """Return the words of a recording, and in how many parts it was heard."""
    with tempfile.TemporaryDirectory() as directory:
        context = _context(recording, Path(directory), PipelineOptions(source=source))
        fetched = run_stage(FETCH, 0, context, {}, scope="")
        words: list[str] = []
        for part in range(fetched.next_parts):
            done = run_stage(TRANSCRIBE, part, context, {"fetch": [fetched.key]}, scope="")
            heard = msgspec.json.decode(context.store.read(done.key), type=Transcript)
            words += [word.text for word in heard.words]
    return " ".join(words), fetched.next_parts


def cuts(audio: Path) -> None:
    """Print how a recording that is cut every minute differs from the uncut one."""
    reading = joined(readings(audio), 600)
    with tempfile.TemporaryDirectory() as directory:
        recording = write(reading.samples, Path(directory, "recording.wav"))
        whole, _ = _transcript(recording, UNCUT)
        pieces, parts = _transcript(recording, SourceOptions(part_seconds=60))
    differing = errors(whole, pieces)
    print(f"\ncuts: {reading.seconds:.0f} s in {parts} parts beside uncut")
    print(f"{'':<12}{'words':>8}{'WER % against what was read':>30}")
    for name, text in (("uncut", whole), ("cut", pieces)):
        print(f"{name:<12}{len(bare(text)):>8}{errors(reading.text, text).rate:>30.2f}")
    print(
        f"cut beside uncut: {differing.deleted} words lost, {differing.inserted} more, "
        f"{differing.substituted} others"
    )


def _worker(
    core: int, recording: Path, directory: Path, key: str, parts: list[int], start: Barrier
) -> None:
    os.sched_setaffinity(0, {core})
    options = PipelineOptions(transcription=TranscriptionOptions(threads=1))
    warm(options.transcription)
    context = _context(recording, directory, options)
    start.wait()
    for part in parts:
        run_stage(TRANSCRIBE, part, context, {"fetch": [key]}, scope="")


def _timed(recording: Path, shares: list[list[int]], options: PipelineOptions) -> float:
    """Return the seconds until every part is transcribed, each share by a worker on a core."""
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as directory:
        context = _context(recording, Path(directory), options)
        fetched = run_stage(FETCH, 0, context, {}, scope="")
        start = spawn.Barrier(len(shares) + 1)
        cores = sorted(os.sched_getaffinity(0))
        workers = [
            spawn.Process(
                target=_worker,
                args=(cores[number], recording, Path(directory), fetched.key, share, start),
            )
            for number, share in enumerate(shares)
        ]
        for worker in workers:
            worker.start()
        start.wait()
        began = time.perf_counter()
        for worker in workers:
            worker.join()
        took = time.perf_counter() - began
        if any(worker.exitcode for worker in workers):
            sys.exit("a worker failed")
    return took


def workers(audio: Path) -> None:
    """Print how long one and two workers take for one recording of four parts."""
    reading = joined(readings(audio), 1200)
    options = replace(PipelineOptions(), source=SourceOptions(part_seconds=reading.seconds / 3.9))
    with tempfile.TemporaryDirectory() as directory:
        recording = write(reading.samples, Path(directory, "recording.wav"))
        one = _timed(recording, [[0, 1, 2, 3]], options)
        two = _timed(recording, [[0, 2], [1, 3]], options)
    print(f"\nworkers: {reading.seconds:.0f} s in 4 parts, one core each, models loaded before")
    print(f"one {one:.1f} s, two {two:.1f} s: {two / one:.2f} of one worker's time")


def _peak(recording: Path) -> float:
    """Return the peak memory in MiB of a process of its own that analyses a recording."""
    command = [sys.executable, __file__, "--analyse", str(recording)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def memory(audio: Path, hours: float) -> None:
    """Print the peak memory for a minute and for some hours."""
    clips = readings(audio)
    with tempfile.TemporaryDirectory() as directory:
        short = write(joined(clips, 60).samples, Path(directory, "short.wav"))
        peak = _peak(short)
        hour = joined(clips, 3600 * hours)
        long = write(hour.samples, Path(directory, "long.wav"))
        length = hour.seconds
        del hour
        began = time.perf_counter()
        peak_long = _peak(long)
        took = time.perf_counter() - began
    print(f"\nmemory, whole pipeline: 1 minute {peak:.0f} MiB; ", end="")
    print(
        f"{length / 3600:.2f} hours {peak_long:.0f} MiB, {peak_long - peak:.0f} MiB more; ", end=""
    )
    print(f"{took:.0f} s, {length / took:.0f} times real time")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="*", default=["cuts", "workers", "memory"])
    parser.add_argument("--audio", type=Path)
    parser.add_argument("--hours", type=float, default=3.0)
    parser.add_argument("--analyse", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.analyse:
        Runner().run(Input("file", str(chosen.analyse)))
        # Not getrusage's figure, which a process inherits from the one that started it.
        status = Path("/proc/self/status").read_text()
        print(int(status.partition("VmHWM:")[2].split()[0]) / 1024)
        return
    if "cuts" in chosen.what:
        cuts(chosen.audio)
    if "workers" in chosen.what:
        workers(chosen.audio)
    if "memory" in chosen.what:
        memory(chosen.audio, chosen.hours)


if __name__ == "__main__":
    main()
