"""The command line as a user types it, in a process of its own."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest


def emotion_clf(*arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "emotion_clf", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_speech_becomes_timed_sentences_with_emotions(jfk: Path) -> None:
    done = emotion_clf("predict", "--file", str(jfk), "--format", "json")
    assert done.returncode == 0, done.stderr
    analysis = json.loads(done.stdout)
    said = " ".join(segment["text"] for segment in analysis["segments"]).lower()
    assert "ask not what your country can do for you" in said
    assert analysis["duration"] == pytest.approx(11.0, abs=0.1)
    assert all(0 <= s["start"] < s["end"] <= 11.1 for s in analysis["segments"])
    assert [stage for stage in ("fetch", "transcribe", "classify") if stage in done.stderr]


def test_the_table_names_times_emotions_and_shares(jfk: Path) -> None:
    done = emotion_clf("predict", "--file", str(jfk))
    assert done.returncode == 0, done.stderr
    assert "country" in done.stdout
    assert "of speech" in done.stdout


def test_text_on_stdin_as_csv_into_a_file(tmp_path: Path) -> None:
    output = tmp_path / "out.csv"
    done = emotion_clf(
        "predict", "-", "--format", "csv", "--output", str(output), stdin="I love it. I hate it."
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    rows = list(csv.DictReader(io.StringIO(output.read_text())))
    assert [row["text"] for row in rows] == ["I love it.", "I hate it."]
    assert [row["emotion"] for row in rows] == ["happiness", "anger"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["predict"], 2, "Give one of --url"),
        (["predict", "--text", "a", "--url", "b"], 2, "Give one of --url"),
        (["predict", "--file", "nothing.wav"], 2, "no file"),
        (["predict", "--text", " "], 65, "text.empty"),
        (["predict", "--text", "Hi.", "--confidence-threshold", "7"], 64, "option.invalid"),
        (["predict", "--text", "Hello there.", "--format", "srt"], 64, "option.invalid"),
        (["predict", "--text", "Hi.", "--output", "/nowhere/x"], 2, "cannot be written"),
        (["predict", "--url", "ftp://example.org/a"], 69, "source."),
        (["predict", "--url", "http://127.0.0.1/a.mp3"], 69, "source.forbidden_address"),
        (["dance"], 2, "No such command"),
    ],
)
def test_a_bad_call_is_one_line_and_a_documented_code(
    arguments: list[str], code: int, message: str
) -> None:
    done = emotion_clf(*arguments)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_wrong_key_in_the_configuration_is_named(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("classification:\n  confidence: 0.5\n")
    done = emotion_clf("predict", "--text", "Hi.", "--config", str(config))
    assert done.returncode == 78
    assert "classification.confidence" in done.stderr


def test_the_doctor_finds_everything_here() -> None:
    done = emotion_clf("doctor")
    assert done.returncode == 0, done.stdout
    assert "digests verified" in done.stdout
    assert "tiny.en" in done.stdout
