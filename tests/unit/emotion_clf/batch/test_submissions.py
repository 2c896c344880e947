"""What was asked for is known again, whenever the process that asked has died."""

from __future__ import annotations

from pathlib import Path

import pytest

from emotion_clf.batch.records import InUse, NotRecords
from emotion_clf.batch.submissions import Submissions


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl.jobs"


def reopened(submissions: Submissions, path: Path) -> Submissions:
    submissions.close()
    return Submissions(path)


def test_a_later_run_knows_keys_identifiers_and_what_is_left(path: Path) -> None:
    first = Submissions(path)
    links = first.ask(["a", "b", "c"], {"timeline_bins": 2})
    file = first.ask(["d"], {})
    first.made(links, "batch-1")
    known = list(reopened(first, path).of(["c", "b", "d", "e"]))
    assert [(submission.key, left) for submission, left in known] == [
        (links.key, ["c", "b"]),
        (file.key, ["d"]),
    ]
    assert known[0][0] == links
    assert (known[0][0].id, known[1][0].id) == ("batch-1", None)


def test_what_was_dropped_is_asked_for_anew_under_another_key(path: Path) -> None:
    first = Submissions(path)
    old = first.ask(["a", "b"], {})
    first.drop(["a"])
    second = reopened(first, path)
    assert [left for _, left in second.of(["a", "b"])] == [["b"]]
    new = second.ask(["a"], {})
    assert new.key != old.key
    assert {s.key for s, _ in reopened(second, path).of(["a", "b"])} == {old.key, new.key}


@pytest.mark.parametrize("cut", [1, 10, 40])
def test_a_half_written_line_counts_as_not_written(path: Path, cut: int) -> None:
    first = Submissions(path)
    first.ask(["a"], {})
    whole = path.read_bytes()
    first.ask(["b"], {})
    path.write_bytes(path.read_bytes()[:-cut])
    second = reopened(first, path)
    assert [left for _, left in second.of(["a", "b"])] == [["a"]]
    assert path.read_bytes() == whole


def test_a_file_is_one_process_own_and_nothing_else(path: Path) -> None:
    with pytest.raises(InUse):
        _two(path)
    path.write_text("a list of mine\n")
    with pytest.raises(NotRecords):
        Submissions(path)
    assert path.read_text() == "a list of mine\n"


def _two(path: Path) -> list[Submissions]:
    return [Submissions(path), Submissions(path)]


def test_the_file_goes_when_everything_has_ended(path: Path) -> None:
    submissions = Submissions(path)
    submissions.ask(["a"], {})
    submissions.forget()
    assert not path.exists()
    Submissions().forget()
