"""The table of a checkpoint's figures, as the terminal and the model card show it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

Metrics = Mapping[str, Any]


class Row(NamedTuple):
    """One measure. Figures are texts, ready to print; empty where there is none."""

    measure: str
    value: str
    interval: str
    majority: str
    tfidf: str
    least: str
    aim: str
    verdict: str
    """``aim``, ``goal`` or ``below``: how far the value reaches; empty without a goal."""


class _Measure(NamedTuple):
    name: str
    where: tuple[str, str]
    """The group of figures, and the text or the way of reading."""
    key: str
    least: float | None = None
    aim: float | None = None
    lower_is_better: bool = False


_WRITTEN: Final = ("comments", "written")
_ORDER: Final = ("transcripts", "in_order")
_ALONE: Final = ("transcripts", "alone")

# The goals are those that the project set itself for the carried checkpoint.
_MEASURES: Final = (
    _Measure("GoEmotions, 28 labels: macro-F1", _WRITTEN, "macro_f1", 0.53, 0.56),
    _Measure(
        "the same as a recogniser's text: macro-F1", ("comments", "plain"), "macro_f1", 0.51, 0.54
    ),
    _Measure("one base emotion of 7: accuracy", _WRITTEN, "base_accuracy", 0.70, 0.73),
    _Measure("one base emotion of 7: macro-F1", _WRITTEN, "base_macro_f1", 0.64, 0.67),
    _Measure("happiness, anger, sadness: accuracy", _WRITTEN, "three_accuracy", 0.90, 0.93),
    _Measure("base emotion: calibration error", _WRITTEN, "calibration_error", 0.04, 0.02, True),
    _Measure("transcripts in order, 7 emotions: accuracy", _ORDER, "base_accuracy"),
    _Measure("transcripts in order, 7 emotions: macro-F1", _ORDER, "base_macro_f1"),
    _Measure("transcripts in order, intensity: accuracy", _ORDER, "intensity_accuracy"),
    _Measure("transcripts in order, intensity: macro-F1", _ORDER, "intensity_macro_f1"),
    _Measure("transcripts in order, intensity: quadratic kappa", _ORDER, "intensity_kappa"),
    _Measure("transcripts without context, 7 emotions: macro-F1", _ALONE, "base_macro_f1"),
)

_CONTEXT_AIM: Final = 0.03
_INT8_LEAST, _INT8_AIM = -0.005, -0.002


def rows(metrics: Metrics) -> list[Row]:
    """Return the table of ``metrics``, what :func:`ml.evaluation.evaluate.evaluate` returned."""
    differences = metrics["differences"]
    found = [_row(metrics, measure) for measure in _MEASURES]
    gain = differences["context"]["base_macro_f1"]
    found.append(_difference("what context gives: macro-F1", gain, None, _CONTEXT_AIM))
    if "int8_on_comments" in differences:
        cost = differences["int8_on_comments"]["macro_f1"]
        found.append(_difference("int8 less fp32: macro-F1", cost, _INT8_LEAST, _INT8_AIM))
    return found


def shipped(metrics: Metrics) -> str:
    """Return under which name the figures of the default stand: with features or without."""
    return "features" if metrics["defaults"]["features"] else "none"


def _row(metrics: Metrics, measure: _Measure) -> Row:
    group, way = measure.where
    figure = metrics[group]["int8"][shipped(metrics)][way][measure.key]
    baselines = {name: each[group] for name, each in metrics["baselines"].items()}
    if group == "comments":
        baselines = {name: each[way] for name, each in baselines.items()}
    sign = -1 if measure.lower_is_better else 1
    return Row(
        measure=measure.name,
        value=number(figure["value"]),
        interval=interval(figure),
        majority=number(baselines["majority"][measure.key]["value"]),
        tfidf=number(baselines["tfidf"][measure.key]["value"]),
        least=_goal(measure.least),
        aim=_goal(measure.aim),
        verdict=_verdict(sign * figure["value"], measure.least, measure.aim, sign),
    )


def _difference(
    name: str, figure: Mapping[str, float], least: float | None, aim: float | None
) -> Row:
    return Row(
        measure=name,
        value=signed(figure["value"]),
        interval=interval(figure, signed),
        majority="",
        tfidf="",
        least=_goal(least, "+.3f"),
        aim=_goal(aim, "+.3f"),
        verdict=_verdict(figure["value"], least, aim, 1),
    )


def _goal(value: float | None, style: str = ".2f") -> str:
    return "" if value is None else format(value, style)


def _verdict(value: float, least: float | None, aim: float | None, sign: int) -> str:
    """Return how far ``value`` reaches; ``sign`` -1 turns goals that are upper limits around."""
    if aim is None:
        return ""
    if value >= sign * aim:
        return "aim"
    return "goal" if least is not None and value >= sign * least else "below"


def number(value: float) -> str:
    """Return a figure with three digits."""
    return f"{value:.3f}"


def signed(value: float) -> str:
    """Return a difference with its sign and three digits."""
    return f"{value:+.3f}"


def interval(figure: Mapping[str, float], show: Any = number) -> str:
    """Return the interval of a figure."""
    return f"{show(figure['low'])} to {show(figure['high'])}"
