import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from emotion_clf.cli.evaluate import command
from ml.emotion.checkpoint import CARRIED, METRICS
from ml.evaluation.card import card

KEPT = CARRIED / METRICS


def run(*arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_kept_figures_become_a_table_a_card_and_json(tmp_path):
    card_file, json_file = tmp_path / "card.md", tmp_path / "again.json"
    done = run("--from-json", KEPT, "--card", card_file, "--json", json_file)
    assert done.exit_code == 0, done.output
    metrics = json.loads(KEPT.read_text())
    assert card_file.read_text() == card(metrics)
    assert json.loads(json_file.read_text()) == metrics
    figure = metrics["comments"]["int8"]["features"]["written"]["macro_f1"]
    line = next(line for line in done.output.splitlines() if line.startswith("GoEmotions"))
    assert f"{figure['value']:.3f}" in line
    assert f"{figure['low']:.3f} to {figure['high']:.3f}" in line


def test_a_card_that_cannot_be_written_is_refused_before_anything_is_printed(tmp_path):
    done = run("--from-json", KEPT, "--card", tmp_path / "nowhere" / "card.md")
    assert done.exit_code == 2
    assert "cannot be written" in done.output
    assert "macro-F1" not in done.output


@pytest.mark.parametrize("content", ["{", "[]", '{"macro_f1": 0.5}'])
def test_other_files_are_no_figures(tmp_path, content):
    path = tmp_path / "other.json"
    path.write_text(content)
    done = run("--from-json", path)
    assert done.exit_code == 2
    assert "does not hold the figures" in done.output


def test_either_data_or_kept_figures(tmp_path):
    assert "either --data or --from-json" in run().output
    assert run("--data", tmp_path, "--from-json", Path(KEPT)).exit_code == 2


def test_figures_and_card_do_not_overwrite_each_other(tmp_path):
    both = tmp_path / "both"
    done = run("--from-json", KEPT, "--json", both, "--card", tmp_path / "." / "both")
    assert done.exit_code == 2
    assert not both.exists()


@pytest.mark.parametrize("option", [("--checkpoint", CARRIED), ("--limit", 5)])
def test_kept_figures_take_no_option_that_says_how_to_measure(option):
    done = run("--from-json", KEPT, *option)
    assert done.exit_code == 2
    assert "measures nothing" in done.output
