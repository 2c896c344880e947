import copy
import json
import re
from pathlib import Path

import pytest

from ml.emotion.checkpoint import CARRIED, METRICS
from ml.evaluation.card import card
from ml.evaluation.report import rows

ROOT = Path(__file__).parents[4]


@pytest.fixture
def metrics():
    """The figures of the carried checkpoint, to change."""
    return json.loads((CARRIED / METRICS).read_text())


def test_the_card_is_what_the_carried_figures_say(metrics):
    assert (ROOT / "docs" / "model-card.md").read_text() == card(metrics)


def test_another_figure_makes_another_card(metrics):
    changed = copy.deepcopy(metrics)
    changed["comments"]["int8"]["features"]["written"]["macro_f1"]["value"] = 0.123
    changed["labels"]["grief"]["f1"] = 0.0123
    written = card(changed)
    assert "| 0.123 |" in written
    assert "grief (0.012)" in written
    assert "0.123" not in card(metrics)


def test_goals_are_judged_by_the_value(metrics):
    figures = metrics["comments"]["int8"]["features"]["written"]
    reached = {}
    for value in (0.6, 0.54, 0.4):
        figures["macro_f1"]["value"] = value
        reached[value] = rows(metrics)[0].verdict
    assert reached == {0.6: "aim", 0.54: "goal", 0.4: "below"}


def test_a_calibration_error_is_better_when_it_is_lower(metrics):
    figures = metrics["comments"]["int8"]["features"]["written"]
    reached = []
    for value in (0.01, 0.03, 0.05):
        figures["calibration_error"]["value"] = value
        reached.append(rows(metrics)[5].verdict)
    assert reached == ["aim", "goal", "below"]


def test_what_int8_costs_is_shown_where_it_was_measured(metrics):
    names = [name for name in metrics["differences"] if name.startswith("int8")]
    without = copy.deepcopy(metrics)
    for name in names:
        del without["differences"][name]
    cost = {"macro_f1": {"value": -0.003, "low": -0.006, "high": 0.001}}
    metrics["differences"]["int8_on_comments"] = cost
    assert rows(metrics)[-1].value == "-0.003"
    assert rows(metrics)[-1].verdict == "goal"
    assert "int8 less fp32" not in {row.measure for row in rows(without)}
    assert "int8 rather than fp32" not in card(without)


def test_a_part_helps_when_its_whole_interval_does(metrics):
    gain = metrics["differences"]["context"]["base_macro_f1"]
    for low, high, verdict in ((0.01, 0.02, "helps"), (-0.02, -0.01, "costs")):
        gain.update(low=low, high=high)
        line = next(x for x in card(metrics).splitlines() if x.startswith("| Context"))
        assert line.endswith(f"| {verdict} |")
    gain.update(low=-0.01, high=0.02)
    line = next(x for x in card(metrics).splitlines() if x.startswith("| Context"))
    assert "cannot be told from nothing" in line


def test_speed_has_a_section_where_it_was_measured(metrics):
    metrics.pop("speed", None)
    assert "## Speed" not in card(metrics)
    metrics["speed"] = [{"measure": "sentences a minute", "value": "41,000", "goal": "40,000"}]
    assert "| sentences a minute | 41,000 | 40,000 |" in card(metrics)


def test_every_table_is_whole(metrics):
    written = card(metrics)
    for table in re.findall(r"(?:^\|.*\n)+", written, re.MULTILINE):
        assert len({line.replace("\\|", "").count("|") for line in table.splitlines()}) == 1
    assert "$" not in written
