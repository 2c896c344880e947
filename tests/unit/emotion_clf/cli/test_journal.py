"""The output of a batch is its memory, whatever happened to the process that wrote it."""

from __future__ import annotations

import csv
import json
import stat
from pathlib import Path

import click
import pytest

from emotion_clf.batch.items import Failure, Outcome
from emotion_clf.cli.journal import Form, open_journal
from ml.results import Analysis, Segment, Summary

FAILURE = Failure("media.invalid", "It is damaged.", "Mend it.")
SUMMARY = Summary(2, 0.0, "happiness", {}, (), ())
SEGMENTS = 2
FORMS: list[Form] = ["jsonl", "csv"]


def _segment(index: int, text: str) -> Segment:
    named = ("happiness", "joy", "mild", 0.9, False)
    return Segment(index, None, None, None, text, *named, {"happiness": 1.0}, {}, {}, ("joy",))


def good(source: str) -> Outcome:
    said = [_segment(0, "It works."), _segment(1, 'Über \u2028 uns, "alle"\n.')]
    return Outcome(source, Analysis("en", None, {}, tuple(said), SUMMARY))


def bad(source: str) -> Outcome:
    return Outcome(source, error=FAILURE)


def write(path: Path, form: Form, *outcomes: Outcome, retry_failed: bool = False) -> None:
    with open_journal(path, form, retry_failed=retry_failed) as journal:
        for outcome in outcomes:
            journal.write(outcome)


def ended(path: Path, form: Form, *, retry_failed: bool = False) -> dict[str, Failure | None]:
    with open_journal(path, form, retry_failed=retry_failed) as journal:
        return dict(journal.ended)


def sources_in(path: Path, form: Form) -> list[str]:
    """Return the sources that an output holds, in order, each as often as it has a line."""
    with path.open() as file:
        if form == "jsonl":
            return [json.loads(line)["source"] for line in file]
        return [row["source"] for row in csv.DictReader(file)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.mark.parametrize("form", FORMS)
def test_what_was_written_is_known_by_the_next_run(path: Path, form: Form) -> None:
    write(path, form, good("a"), bad("b"))
    write(path, form, good("c"))
    assert ended(path, form) == {"a": None, "b": FAILURE, "c": None}
    expected = ["a", "b", "c"] if form == "jsonl" else ["a"] * SEGMENTS + ["c"] * SEGMENTS
    assert sources_in(path, form) == expected


@pytest.mark.parametrize("form", FORMS)
def test_what_has_failed_can_be_done_again(path: Path, form: Form) -> None:
    write(path, form, good("a"), bad("b"), bad("c"))
    path.chmod(0o640)
    assert ended(path, form, retry_failed=True) == {"a": None}
    write(path, form, good("b"), retry_failed=True)
    assert ended(path, form) == {"a": None, "b": None} | ({"c": FAILURE} if form == "csv" else {})
    assert set(sources_in(path, form)) == {"a", "b"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert not list(path.parent.glob(".emotion-clf-*"))


@pytest.mark.parametrize("cut", [1, 20, 200])
def test_a_half_written_line_is_cut_off(path: Path, cut: int) -> None:
    write(path, "jsonl", good("a"))
    whole = path.read_bytes()
    write(path, "jsonl", good("b"))
    path.write_bytes(path.read_bytes()[:-cut])
    assert ended(path, "jsonl") == {"a": None}
    assert path.read_bytes() == whole


@pytest.mark.parametrize("cut", [0, 1, 30])
def test_rows_of_an_interrupted_item_are_cut_off(path: Path, cut: int) -> None:
    write(path, "csv", good("a"))
    whole, states = path.read_bytes(), path.with_name("out.state").read_bytes()
    write(path, "csv", good("b"))
    path.write_bytes(path.read_bytes()[: -cut or None])
    path.with_name("out.state").write_bytes(states)
    assert ended(path, "csv") == {"a": None}
    assert path.read_bytes() == whole


@pytest.mark.parametrize("form", FORMS)
def test_a_file_of_something_else_is_left_alone(path: Path, form: Form) -> None:
    path.write_text("of mine\n")
    with pytest.raises(click.UsageError, match="holds no output of a batch"):
        write(path, form, good("a"))
    assert path.read_text() == "of mine\n"


@pytest.mark.parametrize("mine", ["of mine", '{"a": 1}', "\n"])
def test_a_file_of_something_else_is_left_alone_also_without_a_last_line_break(
    path: Path, mine: str
) -> None:
    path.write_text(mine)
    with pytest.raises(click.UsageError, match="holds no output of a batch"):
        write(path, "jsonl", good("a"))
    assert path.read_text() == mine


@pytest.mark.parametrize("form", FORMS)
def test_a_run_that_dies_at_any_byte_is_followed_by_one_that_goes_on(
    path: Path, form: Form
) -> None:
    write(path, form, bad("a"))
    kept = path if form == "jsonl" else path.with_name("out.state")
    whole = kept.read_bytes()
    for length in range(len(whole)):
        kept.write_bytes(whole[:length])
        assert ended(path, form) == {}


def test_a_csv_that_is_shorter_than_its_state_says_is_refused(path: Path) -> None:
    write(path, "csv", good("a"))
    path.write_text("source\n")
    with pytest.raises(click.UsageError, match="holds no output of a batch"):
        write(path, "csv", good("b"))


@pytest.mark.parametrize("form", FORMS)
def test_two_runs_do_not_write_to_one_output(path: Path, form: Form) -> None:
    write(path, form, bad("a"))
    with (
        open_journal(path, form, retry_failed=True),
        pytest.raises(click.UsageError, match="Another run writes"),
    ):
        write(path, form, good("b"))


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(click.UsageError, match="cannot be written: No such file"):
        write(tmp_path / "nowhere" / "out", "jsonl")


def test_a_source_is_no_formula_in_a_spreadsheet(path: Path) -> None:
    write(path, "csv", good("=cmd()"))
    assert set(sources_in(path, "csv")) == {"'=cmd()"}


@pytest.mark.parametrize("form", FORMS)
def test_stdout_remembers_nothing(form: Form, capsys: pytest.CaptureFixture[str]) -> None:
    with open_journal(None, form, retry_failed=False) as journal:
        assert journal.ended == {}
        journal.write(good("a"))
    said = capsys.readouterr().out
    assert said.count("\n") == (1 if form == "jsonl" else 1 + SEGMENTS)
