"""What a store costs: the median time of what a step asks of it.

    python bench/storage.py file:///tmp/artifacts s3://bucket/bench

A step reads its inputs, looks whether its output is there, and writes it: that is ``a step``.
Whatever is written is removed again. Credentials are those of the environment.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import time
import uuid
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from ml.artifacts import ArtifactStore
from ml.file_systems import open_file_system, stores_whole
from ml.source.wav import read_span
from ml.stage import Span

DOCUMENT = os.urandom(20_000)
AUDIO = os.urandom(44 + 2 * 16_000 * 600)
"""Ten minutes."""


def median(work: Callable[[], object], times: int) -> float:
    """Return the median seconds of one call, after one that does not count."""
    work()
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def measure(url: str, times: int) -> dict[str, float]:
    """Return what each kind of work takes, in seconds."""
    folder = f"bench-{uuid.uuid4().hex}"
    store = ArtifactStore(url).below(folder)

    def step() -> None:
        store.exists("stages/1.json")
        store.write("stages/1.json", DOCUMENT)
        store.read("stages/1.json")

    def minute() -> None:
        with store.open("uploads/1") as audio:
            read_span(audio, Span(300.0, 360.0))

    try:
        return {
            "a step": median(step, times),
            "10 minutes stored": median(
                lambda: store.write_stream("uploads/1", io.BytesIO(AUDIO)), max(3, times // 10)
            ),
            "1 of them read": median(minute, times),
        }
    finally:
        for key in ("stages/1.json", "uploads/1"):
            store.delete(key)
        if not stores_whole(url):
            system, root = open_file_system(url)
            system.rm(f"{root}/{folder}", recursive=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("urls", nargs="+", metavar="URL")
    parser.add_argument("--times", type=int, default=50)
    chosen = parser.parse_args()
    table = Table("milliseconds", *chosen.urls)
    found = [measure(url, chosen.times) for url in chosen.urls]
    for name in found[0]:
        table.add_row(name, *(f"{1000 * figures[name]:.1f}" for figures in found))
    Console().print(table)


if __name__ == "__main__":
    main()
