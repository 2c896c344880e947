"""The figures of a checkpoint: ``emotion-clf evaluate``.

It measures what is shipped, the int8 graphs, with numpy and ONNX Runtime alone. Thresholds
and temperatures come from the checkpoint, where the dev texts put them; every figure here
is of test texts, and carries its interval (:mod:`ml.evaluation.bootstrap`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from ml.corpora import data
from ml.emotion.checkpoint import CARRIED, CONFIG, ENCODER, HEADS, Checkpoint
from ml.evaluation import baselines
from ml.evaluation.answers import THREE, comment_scores, line_scores
from ml.evaluation.bootstrap import BLOCK_LINES, LEVEL, RESAMPLES, SEED, Figure, figure
from ml.evaluation.details import details
from ml.evaluation.judge import Judge, Material, Scores
from ml.evaluation.machine import machine
from ml.evaluation.options import EvaluateOptions
from ml.evaluation.reading import FEATURES_BY_DEFAULT

_EVALUATE: Final = (
    "emotion-clf evaluate --data DIR --checkpoint RUN/checkpoint"
    " --full-encoder RUN/encoder-fp32.onnx"
)

Nested = Mapping[str, Mapping[str, Scores]]


def evaluate(options: EvaluateOptions) -> dict[str, Any]:
    """Evaluate a checkpoint on GoEmotions' test split and the test transcripts.

    The result is what ``metrics.json`` holds and :mod:`ml.evaluation.card` is written from. A
    figure is a value with its interval.
    """
    checkpoint = Checkpoint.load(options.checkpoint)
    material = Material.read(options.data, options.limit)
    judges = {"int8": Judge(checkpoint, material, options.threads)}
    if options.full_encoder is not None:
        full = replace(checkpoint, encoder=options.full_encoder.read_bytes())
        judges["fp32"] = Judge(full, material, options.threads)
    comments = {name: judge.comment_scores() for name, judge in judges.items()}
    lines = {name: judge.line_scores() for name, judge in judges.items()}
    return {
        "commands": [_train_command(options.checkpoint or CARRIED), _EVALUATE],
        "checkpoint": _described(checkpoint, options.checkpoint or CARRIED),
        "machine": machine(),
        "bootstrap": _BOOTSTRAP,
        "defaults": {"features": FEATURES_BY_DEFAULT},
        "texts": material.described() | {"three": list(THREE)},
        "data": _counted(options.data),
        "comments": {name: _measured(nested) for name, nested in comments.items()},
        "transcripts": {name: _measured(nested) for name, nested in lines.items()},
        "baselines": _baselines(options.data, material),
        "differences": _differences(comments, lines),
        **details(judges["int8"], material),
        "sentences_per_second": {name: round(judge.speed) for name, judge in judges.items()},
    }


_BOOTSTRAP: Final = {
    "resamples": RESAMPLES,
    "level": LEVEL,
    "block_lines": BLOCK_LINES,
    "seed": SEED,
}


def _figures(scores: Scores) -> dict[str, Figure]:
    return {name: figure(score) for name, score in scores.items()}


def _measured(nested: Nested) -> dict[str, dict[str, dict[str, Figure]]]:
    return {
        features: {way: _figures(scores) for way, scores in ways.items()}
        for features, ways in nested.items()
    }


def _baselines(folder: Path, material: Material) -> dict[str, Any]:
    """Return the figures of the majority class and of TF-IDF with logistic regression."""
    comments = baselines.of_comments(folder, material.texts)
    lines = baselines.of_lines(folder, material.line_texts)
    return {
        name: {
            "comments": {
                text: _figures(comment_scores(answers, material.comments))
                for text, answers in by_text.items()
            },
            "transcripts": _figures(line_scores(lines[name], material.lines)),
        }
        for name, by_text in comments.items()
    }


def _differences(
    comments: Mapping[str, Nested], lines: Mapping[str, Nested]
) -> dict[str, dict[str, Figure]]:
    """Return what each part gives, paired: both sides of a difference saw the same resamples."""
    by_features, lines_by_features = comments["int8"], lines["int8"]
    on, off = by_features["features"], by_features["none"]
    with_features, without = lines_by_features["features"], lines_by_features["none"]
    default = "features" if FEATURES_BY_DEFAULT else "none"
    shipped, told = by_features[default], lines_by_features[default]
    pairs = {
        "recogniser_text": (shipped["plain"], shipped["written"]),
        "features_on_comments": (on["written"], off["written"]),
        "features_on_recogniser_text": (on["plain"], off["plain"]),
        "features_on_transcripts": (with_features["in_order"], without["in_order"]),
        "context": (told["in_order"], told["alone"]),
        "order_of_context": (told["in_order"], told["shuffled"]),
    }
    if "fp32" in comments:
        full, full_told = comments["fp32"][default], lines["fp32"][default]
        pairs |= {
            "int8_on_comments": (shipped["written"], full["written"]),
            "int8_on_recogniser_text": (shipped["plain"], full["plain"]),
            "int8_on_transcripts": (told["in_order"], full_told["in_order"]),
        }
    return {
        name: {key: figure(after[key].minus(before[key])) for key in after}
        for name, (after, before) in pairs.items()
    }


def _counted(folder: Path) -> dict[str, dict[str, int]]:
    """Return how many texts of each origin and split there are."""
    splits: tuple[data.Split, ...] = ("train", "dev", "test")
    found: dict[str, dict[str, int]] = {
        "goemotions": {split: len(data.goemotions(folder, split)) for split in splits}
    }
    for split in splits:
        read = data.transcripts(folder, split)
        found.setdefault("tv_transcripts", {})[split] = len(read)
        found.setdefault("tv_lines", {})[split] = sum(len(each.texts) for each in read)
    if (folder / "xed").is_dir():
        found["xed"] = {"train": len(data.xed(folder))}
    if (folder / "emobank").is_dir():
        found["emobank"] = {"train": len(data.emobank(folder, (1.0,)))}
    return found


def _train_command(folder: Path) -> str:
    """Return the command that made the checkpoint, as its ``config.json`` knows it."""
    made = json.loads((folder / CONFIG).read_text()).get("training", {}).get("options", {})
    command = "emotion-clf train --data DIR --output RUN"
    for name in ("backbone", "teacher"):
        if made.get(name):
            command += f" --{name} {made[name]}"
    return command


def _described(checkpoint: Checkpoint, folder: Path) -> dict[str, Any]:
    """Return what the checkpoint is, as its ``config.json`` says."""
    config = json.loads((folder / CONFIG).read_text())
    return {
        "name": checkpoint.name,
        "version": checkpoint.version,
        "features_version": config["features_version"],
        "context_radius": checkpoint.context_radius,
        "max_tokens": checkpoint.max_tokens,
        "megabytes": {
            name: round((folder / name).stat().st_size / 1e6, 1) for name in (ENCODER, HEADS)
        },
        "backbone": config["backbone"],
        "temperatures": dict(checkpoint.temperatures),
        "thresholds": dict(checkpoint.thresholds),
        "training": config.get("training", {}),
    }
