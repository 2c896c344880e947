"""The model card, written from ``metrics.json`` alone: no figure in it was typed by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from string import Template
from typing import Any, Final

from ml.evaluation.report import Metrics, interval, number, rows, signed
from ml.taxonomy import BASE_EMOTIONS

_WEAKEST: Final = 6
_CONFUSED: Final = 6
_RARE: Final = 50
"""A label with fewer test comments than this has an F1 that says little."""

_SCORES: Final = {
    "macro_f1": "28 labels, macro-F1",
    "base_accuracy": "7 emotions, accuracy",
    "base_macro_f1": "7 emotions, macro-F1",
    "three_accuracy": "3 emotions, accuracy",
    "intensity_accuracy": "intensity, accuracy",
    "intensity_macro_f1": "intensity, macro-F1",
    "intensity_kappa": "intensity, kappa",
    "calibration_error": "calibration error",
}
_FEATURES: Final = {"features": "with features", "none": "without"}
_TEXTS: Final = {"written": "as written", "plain": "as a recogniser's text"}
_WAYS: Final = {"in_order": "in order", "alone": "each alone", "shuffled": "shuffled"}
_PARTS: Final = (
    ("context", "Context, on transcripts", "base_macro_f1"),
    ("order_of_context", "The right order rather than a shuffled one", "base_macro_f1"),
    ("order_of_context", "The right order rather than a shuffled one", "intensity_kappa"),
    ("features_on_comments", "Features, on comments as written", "macro_f1"),
    ("features_on_comments", "Features, on comments as written", "base_accuracy"),
    ("features_on_recogniser_text", "Features, on comments as a recogniser's text", "macro_f1"),
    (
        "features_on_recogniser_text",
        "Features, on comments as a recogniser's text",
        "base_accuracy",
    ),
    ("features_on_transcripts", "Features, on transcripts", "base_macro_f1"),
    ("recogniser_text", "A recogniser's text rather than writing", "macro_f1"),
    ("int8_on_comments", "int8 rather than fp32, on comments", "macro_f1"),
    ("int8_on_transcripts", "int8 rather than fp32, on transcripts", "base_macro_f1"),
)


def card(metrics: Metrics) -> str:
    """Return the card in Markdown for ``metrics``.

    ``metrics`` is what :func:`ml.evaluation.evaluate.evaluate` returned; where it has ``speed``,
    a list of ``{"measure", "value", "goal"}``, those become a section of their own.
    """
    template = Template(files("ml.evaluation").joinpath("card.md").read_text(encoding="utf-8"))
    return template.substitute(
        _words(metrics)
        | {
            "figures": _figures(metrics),
            "parts": _parts(metrics),
            "comments_table": _grid(metrics["comments"], _TEXTS),
            "transcripts_table": _grid(metrics["transcripts"], _WAYS),
            "labels": _labels(metrics["labels"]),
            "confusion_comments": _confusion(metrics["confusion"]["comments"]),
            "confusion_transcripts": _confusion(metrics["confusion"]["transcripts"]),
            "calibration": _calibration(metrics),
            "speed": _speed(metrics.get("speed", [])),
        }
    )


def _words(metrics: Metrics) -> dict[str, str]:
    """Return the figures that stand in sentences."""
    made, texts, counts = metrics["checkpoint"], metrics["texts"], metrics["data"]
    backbone, labels = made["backbone"], metrics["labels"]
    rare = [name for name, each in labels.items() if each["support"] < _RARE]
    return {
        "name": made["name"],
        "version": made["version"],
        "kind": backbone.get("model_type", "model"),
        "shape": _shape(backbone),
        "start": made["training"].get("start", "random weights"),
        "teacher": made["training"].get("options", {}).get("teacher") or "labels alone",
        "megabytes": f"{sum(made['megabytes'].values()):.1f}",
        "radius": str(made["context_radius"]),
        "tokens": str(made["max_tokens"]),
        "features_version": made["features_version"],
        "temperatures": ", ".join(f"`{k}` {v:g}" for k, v in made["temperatures"].items()),
        "resamples": f"{metrics['bootstrap']['resamples']:,}",
        "level": f"{metrics['bootstrap']['level']:.0%}",
        "block": str(metrics["bootstrap"]["block_lines"]),
        "bins": str(metrics["calibration"]["bins"]),
        "comments": f"{texts['comments']:,}",
        "single": f"{texts['single_base_comments']:,}",
        "lines": f"{texts['lines_with_emotion']:,}",
        "graded": f"{texts['lines_with_intensity']:,}",
        "transcripts": str(len(texts["transcripts"])),
        "transcript_names": ", ".join(f"`{name}`" for name in texts["transcripts"]),
        "threshold": f"{metrics['confidence']['threshold']:g}",
        "features_default": "on" if metrics["defaults"]["features"] else "off",
        "data": _origins(counts),
        "rare_limit": str(_RARE),
        "rare": ", ".join(f"{name} ({labels[name]['support']})" for name in rare) or "none",
        "weakest": _weakest(labels),
        "confused": _confused(metrics["confusion"]["comments"]),
        "confused_lines": _confused(metrics["confusion"]["transcripts"]),
        "to_neutral": f"{_share_to_neutral(metrics['confusion']['comments']):.0%}",
        "commands": "\n".join(metrics["commands"]),
        "options": ", ".join(_flat(made["training"].get("options", {}))),
        "machine": _machine(metrics),
    }


def _figures(metrics: Metrics) -> str:
    marks = {"aim": "aim", "goal": "the least", "below": "less", "": ""}
    level = f"{metrics['bootstrap']['level']:.0%}"
    baselines = ("majority", "TF-IDF + LR")
    head = ("measure", "checkpoint", f"{level} interval", *baselines, "at least", "aim", "reaches")
    return _table(head, ([*row[:7], marks[row.verdict]] for row in rows(metrics)))


def _parts(metrics: Metrics) -> str:
    """Return what each part gives, and whether its interval lies on one side of nothing."""
    found = []
    for name, said, key in _PARTS:
        if name in metrics["differences"]:
            gain = metrics["differences"][name][key]
            found.append(
                [said, _SCORES[key], signed(gain["value"]), interval(gain, signed), _sign(gain)]
            )
    return _table(("part", "measure", "difference", "interval", "it"), found)


def _sign(gain: Mapping[str, float]) -> str:
    if gain["low"] > 0:
        return "helps"
    return "costs" if gain["high"] < 0 else "cannot be told from nothing"


def _grid(by_weights: Mapping[str, Any], ways: Mapping[str, str]) -> str:
    """Return the scores of every combination, weights, features and way of asking."""
    found, keys = [], list(_SCORES)
    for weights, by_features in by_weights.items():
        for features, by_way in by_features.items():
            for way, figures in by_way.items():
                keys = [key for key in _SCORES if key in figures]
                shown = [number(figures[key]["value"]) for key in keys]
                found.append([weights, _FEATURES[features], ways[way], *shown])
    return _table(("weights", "features", "texts", *(_SCORES[key] for key in keys)), found)


def _labels(labels: Mapping[str, Mapping[str, float]]) -> str:
    found = [
        [name, *(number(each[key]) for key in ("precision", "recall", "f1")), str(each["support"])]
        for name, each in labels.items()
    ]
    return _table(("sub-emotion", "precision", "recall", "F1", "test comments"), found)


def _confusion(table: Mapping[str, Mapping[str, int]]) -> str:
    found = [[f"**{truth}**", *map(str, answers.values())] for truth, answers in table.items()]
    return _table(("label \\ answer", *BASE_EMOTIONS), found)


def _calibration(metrics: Metrics) -> str:
    found = []
    for name in ("comments", "transcripts"):
        errors, sure = metrics["calibration"][name], metrics["confidence"][name]
        figures = (errors["before"], errors["after"], *sure.values())
        found.append([name, *(number(figure["value"]) for figure in figures)])
    head = ("texts", "error before", "error after", "share sure", "accuracy sure", "unsure")
    return _table(head, found)


def _speed(measured: Sequence[Mapping[str, str]]) -> str:
    if not measured:
        return ""
    found = [[each["measure"], each["value"], each["goal"]] for each in measured]
    return "\n## Speed\n\n" + _table(("measure", "measured", "goal"), found) + "\n"


def _origins(counts: Mapping[str, Mapping[str, int]]) -> str:
    """Return how many texts of each origin taught, tuned and tested."""
    names = {
        "goemotions": "GoEmotions, comments",
        "tv_transcripts": "television transcripts",
        "tv_lines": "their lines",
        "xed": "XED, subtitle lines",
        "emobank": "EmoBank, sentences",
    }
    found = [
        [said, *(f"{counts[name][s]:,}" if s in counts[name] else "" for s in _SPLITS)]
        for name, said in names.items()
        if name in counts
    ]
    return _table(("texts", *_SPLITS), found)


_SPLITS: Final = ("train", "dev", "test")


def _weakest(labels: Mapping[str, Mapping[str, float]]) -> str:
    ranked = sorted(labels, key=lambda name: labels[name]["f1"])[:_WEAKEST]
    return ", ".join(f"{name} ({number(labels[name]['f1'])})" for name in ranked)


def _confused(table: Mapping[str, Mapping[str, int]]) -> str:
    """Return the most frequent mistakes by the share of the true class that they take."""
    shares = [
        (answers[answer] / max(sum(answers.values()), 1), truth, answer)
        for truth, answers in table.items()
        for answer in answers
        if answer != truth
    ]
    worst = sorted(shares, reverse=True)[:_CONFUSED]
    return ", ".join(f"{truth} taken for {answer} ({share:.0%})" for share, truth, answer in worst)


def _share_to_neutral(table: Mapping[str, Mapping[str, int]]) -> float:
    """Return which part of the wrong answers is neutral."""
    wrong = [
        (answer, count)
        for truth, answers in table.items()
        for answer, count in answers.items()
        if answer != truth
    ]
    neutral = sum(count for answer, count in wrong if answer == "neutral")
    return neutral / max(sum(count for _, count in wrong), 1)


def _shape(backbone: Mapping[str, Any]) -> str:
    """Return the size of an encoder in words, as far as its configuration says it."""
    said = {"num_hidden_layers": "layers", "hidden_size": "wide", "vocab_size": "pieces"}
    found = [f"{backbone[key]:,} {word}" for key, word in said.items() if key in backbone]
    return ", ".join(found) or "its configuration does not say how large"


def _flat(options: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield every option with its value, those of a group under the group's name."""
    for name, value in sorted(options.items()):
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"`{prefix}{name}` {value}"


def _machine(metrics: Metrics) -> str:
    found = metrics["machine"]
    return (
        f"{found['processor']}, {found['cores']} cores, Python {found['python']}, "
        f"ONNX Runtime {found['onnxruntime']}"
    )


def _table(head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
