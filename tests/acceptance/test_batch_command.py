"""``emotion-clf batch`` with the real models: in one process, and on the local service."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from emotion_clf.local.service import LocalService


@pytest.fixture
def listing(tmp_path: Path, jfk: Path) -> Path:
    """Two clips, a file that is missing and one that is broken."""
    for clip in (jfk, jfk.with_name("LJ001-0002.wav")):
        shutil.copy(clip, tmp_path)
    (tmp_path / "broken.wav").write_text("This is no recording.")
    names = ("jfk.flac", "missing.wav", "broken.wav", "LJ001-0002.wav")
    listing = tmp_path / "list.txt"
    listing.write_text("# clips\n\n" + "".join(f"{tmp_path / name}\n" for name in names))
    return listing


def batch(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "emotion_clf", "batch", *arguments]


def run(*arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        batch(*arguments), input=stdin, capture_output=True, text=True, timeout=120, check=False
    )


def killed_after(count: int, output: Path, *arguments: str) -> None:
    """Run the command until it has written some items, and kill it as a crash does."""
    with subprocess.Popen(
        batch(*arguments, "--output", str(output)), stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr
        said = iter(process.stderr)
        while len(output.read_text().splitlines() if output.exists() else ()) < count:
            next(said)
        process.kill()


def outcomes(output: Path) -> dict[str, list[str]]:
    """Return what each file's lines say: its status, or the error's code."""
    found: dict[str, list[str]] = {}
    for line in map(json.loads, output.read_text().splitlines()):
        said = line["error"]["code"] if line["status"] == "failed" else line["status"]
        found.setdefault(Path(line["source"]).name, []).append(said)
    return found


EXPECTED = {
    "jfk.flac": ["completed"],
    "missing.wav": ["source.not_found"],
    "broken.wav": ["media.invalid"],
    "LJ001-0002.wav": ["completed"],
}


def test_killed_and_started_again_it_does_nothing_twice(listing: Path) -> None:
    output = listing.with_name("out.jsonl")
    killed_after(1, output, str(listing))
    with output.open("a") as file:
        file.write('{"source": "half a li')
    done = run(str(listing), "--output", str(output))
    assert done.returncode == 1, done.stderr
    assert outcomes(output) == EXPECTED
    assert "jfk.flac" not in done.stderr
    assert done.stderr.splitlines()[-3:] == [
        "2 of 4 failed:",
        f"  source.not_found  {listing.parent}/missing.wav: The file does not exist or cannot be"
        " read.",
        f"  media.invalid  {listing.parent}/broken.wav: The file is not audio or video in a"
        " supported format, or it is damaged.",
    ]
    analysis = json.loads(output.read_text().splitlines()[0])["analysis"]
    assert "country" in " ".join(segment["text"] for segment in analysis["segments"])

    # Another list, whose items are partly done: only what has failed or is new is worked on.
    shutil.copy(listing.with_name("jfk.flac"), listing.with_name("missing.wav"))
    again = "\n".join([f"{listing.parent}/missing.wav", f"{listing.parent}/jfk.flac"])
    done = run("-", "--output", str(output), "--retry-failed", "--quiet", stdin=again)
    assert (done.returncode, done.stderr) == (0, "")
    expected = EXPECTED | {"missing.wav": ["completed"]}
    assert outcomes(output) == {name: expected[name] for name in expected if name != "broken.wav"}


def test_csv_by_its_name_with_the_source_in_front(listing: Path) -> None:
    output = listing.with_name("out.csv")
    assert run(str(listing), "--output", str(output), "--quiet").returncode == 1
    written = output.read_text()
    assert run(str(listing), "--output", str(output), "--quiet").returncode == 1
    assert output.read_text() == written
    rows = list(csv.DictReader(output.open()))
    assert next(iter(rows[0])) == "source"
    assert Counter(Path(row["source"]).name for row in rows) == {"jfk.flac": 2, "LJ001-0002.wav": 1}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["/nowhere/list.txt"], 2, "cannot be read: No such file"),
        (["-", "--retry-failed"], 2, "--retry-failed needs --output"),
        (["-", "--format", "srt"], 2, "Invalid value for '--format'"),
        (["-", "--output", "/nowhere/out"], 2, "cannot be written"),
        (["-", "--timeline-bins", "0"], 64, "option.invalid"),
        (["-", "--method", "assemblyai"], 77, "speech.auth"),
    ],
)
def test_a_bad_call_is_one_line_and_a_documented_code(
    arguments: list[str], code: int, message: str
) -> None:
    done = run(*arguments, stdin="gone.wav\n")
    assert done.returncode == code, done.stderr
    (line,) = done.stderr.splitlines()
    assert message in line
    assert done.stdout == ""


def test_a_list_is_not_written_over(listing: Path) -> None:
    before = listing.read_text()
    assert run(str(listing), "--output", str(listing)).returncode == 2
    assert listing.read_text() == before


@pytest.mark.acceptance
def test_through_the_local_service_killed_and_started_again(
    listing: Path, report: Callable[..., None]
) -> None:
    output = listing.with_name("out.jsonl")
    with LocalService(listing.with_name("service")) as service:
        api = service.addresses.api
        killed_after(2, output, str(listing), "--api", api)
        done = run(str(listing), "--api", api, "--output", str(output))
        jobs = requests.get(f"{api}/jobs", timeout=10).json()["jobs"]
    assert done.returncode == 1, done.stderr
    assert outcomes(output) == EXPECTED
    # The missing file made no job, and no other file made two.
    made = Counter(job["title"] for job in jobs)
    report(jobs=len(jobs), items=len(EXPECTED))
    assert made == dict.fromkeys(("jfk.flac", "broken.wav", "LJ001-0002.wav"), 1)
