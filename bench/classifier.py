"""How fast the classifier is on the CPU: python bench/classifier.py --data DIR.

DIR holds goemotions/test.tsv. Every rate is the median of rounds in which all subjects take
turns, so that what else the machine does meets all of them alike. Where torch, transformers
and onnx are installed, the peer is the same checkpoint as a plain ``DebertaV2Model`` in fp32
with all heads, on as many threads as there are cores; it gets ready features for nothing.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent.parent))

from ml.emotion.checkpoint import Checkpoint
from ml.emotion.classifier import Classifier
from ml.emotion.heads import Heads
from ml.emotion.inputs import Vectors
from ml.emotion.probabilities import Logits
from ml.emotion.runtime import batches, encoder_session
from ml.emotion.tokens import TextTokenizer
from ml.processors import cores

FULL, BARE, SESSION = "predict", "predict without features", "bare encoder session"
ALONE, BATCHED = "torch, one sentence at a time", "torch, batches of 32 as given"
RATIOS = (
    (FULL, ALONE, 8.0),
    (FULL, BATCHED, 3.0),
    (BARE, SESSION, 0.85),
)
SENTENCES_A_MINUTE = 40_000
BATCH = 32


@dataclass(frozen=True, slots=True)
class Subject:
    """Something whose speed is measured."""

    run: Callable[[], None]
    sentences: int


class Peer:
    """The checkpoint in plain transformers and torch."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        import torch

        from ml.emotion.dequantise import weights
        from ml.emotion.model import Encoder

        torch.set_num_threads(cores())
        self._encoder = Encoder(dict(checkpoint.backbone)).eval()
        shapes = {name: tuple(each.shape) for name, each in self._encoder.state_dict().items()}
        found = weights(checkpoint.encoder, shapes)
        self._encoder.load_state_dict({name: torch.from_numpy(found[name]) for name in shapes})
        self._tokenizer = TextTokenizer(checkpoint)
        self._heads = Heads(checkpoint, cores())

    def read(self, texts: Sequence[str], batch: int) -> Logits:
        """Classify ``texts`` in batches, padded to the longest of each."""
        parts = [self._batch(texts[start : start + batch]) for start in range(0, len(texts), batch)]
        return Logits(*(np.concatenate(each) for each in zip(*parts, strict=True)))

    def _batch(self, texts: Sequence[str]) -> Logits:
        import torch

        distinct, which = self._tokenizer(texts)
        ids = [distinct[place] for place in which]
        mask = np.zeros((len(ids), max(map(len, ids))), np.int64)
        tokens = np.zeros_like(mask)
        for row, each in enumerate(ids):
            mask[row, : len(each)] = 1
            tokens[row, : len(each)] = each
        with torch.inference_mode():
            pooled = self._encoder(torch.from_numpy(tokens), torch.from_numpy(mask)).numpy()
        vectors = Vectors.off(len(ids), self._heads.feature_count)
        return self._heads.logits(pooled, vectors, in_order=False)


def session_subject(checkpoint: Checkpoint, texts: Sequence[str]) -> Subject:
    """Return the encoder alone, fed with ready tensors of sorted sentences."""
    ids, _ = TextTokenizer(checkpoint)(texts)
    encoder = encoder_session(checkpoint.encoder)
    names = [each.name for each in encoder.get_inputs()]
    feeds = []
    for places in batches(ids, BATCH):
        tokens = np.array([ids[place] for place in places], np.int64)
        given = {"input_ids": tokens, "attention_mask": np.ones_like(tokens)}
        feeds.append({name: given[name] for name in names})
    pool = ThreadPoolExecutor(cores())

    def run() -> None:
        for _ in pool.map(lambda feed: encoder.run(["pooled"], feed), feeds):
            pass

    return Subject(run, len(texts))


def subjects(
    classifier: Classifier, checkpoint: Checkpoint, texts: list[str], sample: list[str]
) -> dict[str, Subject]:
    """Return all that takes turns, by name."""
    found = {
        FULL: Subject(lambda: _ignore(classifier.predict(texts)), len(texts)),
        BARE: Subject(lambda: _ignore(classifier.predict(texts, use_features=False)), len(texts)),
        SESSION: session_subject(checkpoint, texts),
    }
    if all(find_spec(name) for name in ("torch", "transformers", "onnx")):
        peer = Peer(checkpoint)
        print(
            f"largest difference to torch: {difference(classifier, checkpoint, peer, sample):.4f}"
        )
        found[ALONE] = Subject(lambda: _ignore(peer.read(sample, 1)), len(sample))
        found[BATCHED] = Subject(lambda: _ignore(peer.read(sample, BATCH)), len(sample))
    return found


def difference(
    classifier: Classifier, checkpoint: Checkpoint, peer: Peer, texts: list[str]
) -> float:
    """Return by how much a sub-emotion's probability differs at most."""
    theirs = peer.read(texts, BATCH).calibrated(checkpoint.temperatures).sub
    ours = [
        list(one.sub_emotions.values()) for one in classifier.predict(texts, use_features=False)
    ]
    return float(np.abs(np.array(ours) - theirs).max())


def rates(found: dict[str, Subject], rounds: int) -> dict[str, float]:
    """Return the median sentences a second of each subject."""
    seconds: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(rounds):
        for name, subject in found.items():
            start = time.perf_counter()
            subject.run()
            seconds[name].append(time.perf_counter() - start)
    return {name: found[name].sentences / statistics.median(seconds[name]) for name in found}


def latencies(classifier: Classifier, texts: list[str]) -> NDArray[np.float64]:
    """Return the milliseconds that each of ``texts`` takes by itself."""
    taken = []
    for text in texts:
        start = time.perf_counter()
        classifier.predict([text])
        taken.append((time.perf_counter() - start) * 1000)
    return np.array(taken)


def fresh(checkpoint: Path | None, texts: list[str]) -> dict[str, float]:
    """Return what this process, which should be a new one, needs to load and to classify."""
    start = time.perf_counter()
    classifier = Classifier(checkpoint)
    loaded = time.perf_counter() - start
    classifier.predict(texts[:1])
    first = time.perf_counter() - start - loaded
    classifier.predict(texts)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"load": loaded, "first": first, "peak": peak}


def in_fresh_process(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run :func:`fresh` in a process of its own."""
    command = [arguments.python, __file__, "--fresh", "--data", str(arguments.data)]
    if arguments.checkpoint:
        command += ["--checkpoint", str(arguments.checkpoint)]
    if arguments.limit:
        command += ["--limit", str(arguments.limit)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout))


def rows(
    measured: dict[str, float], single: NDArray[np.float64], process: dict[str, float]
) -> list[dict[str, str]]:
    """Return every figure with its name and what is wanted of it, as words."""
    found = [
        (
            f"{name}, sentences a minute",
            f"{rate * 60:,.0f}",
            f"{SENTENCES_A_MINUTE:,}" if name == FULL else "",
        )
        for name, rate in measured.items()
    ]
    found += [
        (f"{ours} : {theirs}", f"{measured[ours] / measured[theirs]:.2f}", f"{least:g}")
        for ours, theirs, least in RATIOS
        if theirs in measured
    ]
    found += [
        ("one sentence, median", f"{np.percentile(single, 50):.1f} ms", ""),
        ("one sentence, 95th percentile", f"{np.percentile(single, 95):.1f} ms", "below 15 ms"),
        ("loading in a fresh process", f"{process['load']:.2f} s", "below 1.5 s"),
        ("first sentence after loading", f"{process['first']:.2f} s", ""),
        ("peak memory of that process", f"{process['peak']:.0f} MiB", "below 600 MB"),
    ]
    return [{"measure": measure, "value": value, "goal": goal} for measure, value, goal in found]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with goemotions/")
    parser.add_argument("--checkpoint", type=Path, help="folder of a checkpoint")
    parser.add_argument("--limit", type=int, help="comments to classify; all by default")
    parser.add_argument("--sample", type=int, default=320, help="comments that torch is given")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--python",
        default=sys.executable,
        help="interpreter whose loading and memory are measured: one without torch, as users have",
    )
    parser.add_argument("--metrics", type=Path, help="metrics.json to write the figures into")
    parser.add_argument("--fresh", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Print the tables."""
    given = arguments()
    lines = (given.data / "goemotions" / "test.tsv").read_text("utf-8").splitlines()
    texts = [line.split("\t")[0] for line in lines][: given.limit]
    if given.fresh:
        print(json.dumps(fresh(given.checkpoint, texts)))
        return
    print(f"{len(texts):,} comments, {cores()} cores")
    process = in_fresh_process(given)
    checkpoint = Checkpoint.load(given.checkpoint)
    classifier = Classifier(given.checkpoint)
    # Evenly from all of them, in their order.
    sample = texts[:: max(1, len(texts) // given.sample)]
    found = subjects(classifier, checkpoint, texts, sample)
    rates(found, 1)
    measured = rows(rates(found, given.rounds), latencies(classifier, sample), process)
    for row in measured:
        print(f"{row['measure']:<62}{row['value']:>14}{row['goal']:>14}")
    if given.metrics:
        metrics = json.loads(given.metrics.read_text())
        given.metrics.write_text(json.dumps(metrics | {"speed": measured}, indent=2) + "\n")


def _ignore(_: object) -> None:
    """Drop a result."""


if __name__ == "__main__":
    main()
