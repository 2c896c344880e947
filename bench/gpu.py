"""How fast the classifier is on a GPU: python bench/gpu.py --data DIR.

DIR holds goemotions/test.tsv. The peer is a plain transformers pipeline with the same encoder
in half precision, in batches of one, which is its default, and of 32; it has neither heads nor
features to compute. All take turns, and each rate is the median of the rounds. ``--device cpu``
tries the command where there is no GPU; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedTokenizerFast, pipeline

sys.path.insert(0, str(Path(__file__).parent.parent))

from ml.emotion.checkpoint import Checkpoint
from ml.emotion.gpu import TorchRuntime
from ml.emotion.inputs import Vectors
from ml.emotion.probabilities import Probabilities
from ml.emotion.runtime import Runtime
from ml.emotion.tokens import TextTokenizer

SAMPLE = 512
"""Sentences of which the peer's slower way reads so many, and the CPU, to be compared with."""
AIM = 5.0


def plain(checkpoint: Checkpoint, runtime: TorchRuntime, device: str) -> Any:
    """Return a feature-extraction pipeline over the same weights."""
    from tokenizers import Tokenizer

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(checkpoint.tokenizer),
        pad_token="[PAD]",
        model_max_length=checkpoint.max_tokens,
    )
    return pipeline(
        "feature-extraction",
        model=runtime.encoder.backbone,
        tokenizer=tokenizer,
        device=device,
        tokenize_kwargs={"truncation": True},
        return_tensors=True,
    )


def answers(runtime: Runtime | TorchRuntime, checkpoint: Checkpoint, texts: list[str]) -> Any:
    """Return the calibrated probabilities of ``texts``, without features."""
    vectors = Vectors.off(len(texts), runtime.feature_count)
    logits = runtime.logits(runtime.encode(texts), vectors, in_order=False)
    return logits.calibrated(checkpoint.temperatures)


def difference(one: Probabilities, two: Probabilities) -> str:
    """Say by how much two answers differ, on the whole and at most."""
    apart = np.concatenate([np.abs(a - b).max(axis=1) for a, b in zip(one, two, strict=True)])
    return f"mean {apart.mean():.4f}, 99th percentile {np.quantile(apart, 0.99):.4f}, " + (
        f"largest {apart.max():.4f}"
    )


def seconds(run: Callable[[], object]) -> float:
    """Return how long ``run`` takes."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--limit", type=int)
    asked = parser.parse_args()
    lines = (asked.data / "goemotions" / "test.tsv").read_text().splitlines()[: asked.limit]
    texts = [line.split("\t")[0] for line in lines]
    sample = texts[:SAMPLE]
    checkpoint = Checkpoint.load(asked.checkpoint)
    runtime = TorchRuntime(checkpoint, device=asked.device)
    peer = plain(checkpoint, runtime, asked.device)
    tokens = TextTokenizer(checkpoint)(texts)
    subjects: dict[str, tuple[Callable[[], object], int]] = {
        "encoder and heads": (lambda: answers(runtime, checkpoint, texts), len(texts)),
        "encoder, ready tokens": (lambda: runtime.vectors(tokens.distinct), len(texts)),
        "pipeline, one at a time": (lambda: peer(sample), len(sample)),
        "pipeline, batches of 32": (lambda: peer(texts, batch_size=32), len(texts)),
    }
    times = {name: [] for name in subjects}
    for _ in range(asked.rounds + 1):
        for name, (run, _count) in subjects.items():
            times[name].append(seconds(run))
    # The first round warms up.
    rates = {n: subjects[n][1] / statistics.median(t[1:]) for n, t in times.items()}
    device = torch.cuda.get_device_name() if asked.device == "cuda" else asked.device
    print(f"{len(texts)} sentences on {device}, torch {torch.__version__}")
    for name, rate in rates.items():
        print(f"{name:<26}{rate:>10.0f} sentences/s")
    ours = rates["encoder and heads"]
    for name in ("pipeline, one at a time", "pipeline, batches of 32"):
        print(f"{ours / rates[name]:.1f} times {name} (aim {AIM})")
    on_cpu = answers(Runtime(checkpoint), checkpoint, sample)
    print(f"against the CPU: {difference(answers(runtime, checkpoint, sample), on_cpu)}")
    print(f"{runtime.tokens} tokens at once at the end")


if __name__ == "__main__":
    main()
