"""What hostile media cost: python bench/media_safety.py.

Decodes playlists under the names and behind the first bytes of recordings, headers that lie,
recordings cut off or changed at random, and ten hours of silence, each in a process of its own,
within the pipeline's own limit on length. Prints what came of them, the longest time and the most
memory beyond the loaded decoder's, and whether any other file or address was opened.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from hostile_media import Canary, Outcome, broken, examine, flac_silence, liars, polyglots
from media import MediaServer

from ml.options import SourceOptions


def print_table(
    cases: Mapping[str, Path], kind: Callable[[str], str] = lambda name: name
) -> list[Outcome]:
    """Decode files and print a line for each kind of them."""
    outcomes = examine(list(cases.values()), max_seconds=SourceOptions().max_seconds)
    kinds: dict[str, list[Outcome]] = {}
    for name, outcome in zip(cases, outcomes, strict=True):
        kinds.setdefault(kind(name), []).append(outcome)
    for name, of_kind in kinds.items():
        results = Counter("decoded" if o.decoded is not None else o.result for o in of_kind)
        said = ", ".join(f"{count} {result}" for result, count in results.most_common())
        seconds, peak = max(o.seconds for o in of_kind), max(o.peak_mib for o in of_kind)
        print(f"{name:<26}{seconds:>9.2f} s{peak:>8.0f} MiB   {said}")
    return outcomes


def main() -> None:
    """Print the table."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    with tempfile.TemporaryDirectory() as directory:
        places = [Path(directory, name) for name in ("playlists", "liars", "broken", "silence")]
        for place in places:
            place.mkdir()
        canary, server = Canary(Path(directory, "canary.wav")), MediaServer()
        print(f"{'case':<26}{'longest':>11}{'peak':>12}   outcome")
        outcomes = print_table(
            polyglots(places[0], canary.path, server.url("/secret.wav")),
            kind=lambda name: name.split(" as ")[0],
        )
        outcomes += print_table(liars(places[1]))
        outcomes += print_table(broken(places[2]), kind=lambda name: f"broken {name.split()[0]}")
        silence = flac_silence(places[3] / "silence.flac", 36_000)
        outcomes += print_table({"10 hours of silence, FLAC": silence})
        untyped = sum(o.decoded is None and not o.result.startswith("media.") for o in outcomes)
        print(
            f"{len(outcomes)} files: {untyped} without a typed error; "
            f"other files opened: {'YES' if canary.was_opened() else 'none'}; "
            f"connections: {server.connections}"
        )
        canary.close()
        server.stop()


if __name__ == "__main__":
    main()
