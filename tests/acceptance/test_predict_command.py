"""The command line as a user types it, in a process of its own."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
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
        (["predict"], 2, "usage: Give one of --url"),
        (["predict", "--text", "a", "--url", "b"], 2, "usage: Give one of --url"),
        (["predict", "--format", "pdf"], 2, "usage: Invalid value for '--format'"),
        (["predict", "--colour"], 2, "usage: No such option"),
        (["predict", "--file", "nothing.wav"], 69, "source.not_found"),
        (["predict", "--file", "/dev/zero"], 65, "media.invalid"),
        (["predict", "--text", " "], 65, "text.empty"),
        (["predict", "--text", "Hi.", "--confidence-threshold", "7"], 64, "option.invalid"),
        (["predict", "--text", "Hi.", "--timeline-bins", "0"], 64, "option.invalid"),
        (["predict", "--text", "Hello there.", "--format", "srt"], 64, "option.invalid"),
        (["predict", "-", "--format", "vtt"], 64, "option.invalid"),
        (["predict", "--text", "Hi.", "--redacted-audio", "x.wav"], 64, "option.invalid"),
        (["predict", "--text", "Hi.", "--redact-pii", "shoe_size"], 64, "option.invalid"),
        (["predict", "--file", "x.wav", "--speakers", "0"], 64, "option.invalid"),
        (["predict", "--file", "x.wav", "--language", "German"], 64, "option.invalid"),
        (["predict", "--file", "x.wav", "--method", "magic"], 64, "option.invalid"),
        (["predict", "--file", "x.wav", "--method", "assemblyai"], 77, "speech.auth"),
        (["predict", "--text", "Hi.", "--output", "/nowhere/x"], 2, "cannot be written"),
        (["predict", "--text", "Hi you.", "--output", "/dev/full"], 78, "system: No space left"),
        (["predict", "--text", "Hi.", "--config", "gone.yaml"], 78, "setting.invalid"),
        (["predict", "--url", "ftp://example.org/a"], 69, "source."),
        (["predict", "--url", "http://127.0.0.1/a.mp3"], 69, "source.forbidden_address"),
        (["dance"], 2, "No such command"),
    ],
)
def test_a_bad_call_is_one_line_and_a_documented_code(
    arguments: list[str], code: int, message: str
) -> None:
    quiet = ["--quiet"] if arguments[0] == "predict" else []
    done = emotion_clf(*arguments, *quiet)
    assert done.returncode == code, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("emotion-clf: ")
    assert message in line
    assert done.stdout == ""


def test_a_full_disk_behind_stdout_is_one_line() -> None:
    command = [sys.executable, "-m", "emotion_clf", "predict", "--text", "Hi you.", "--quiet"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 78
    assert done.stderr == "emotion-clf: system: No space left on device.\n"


@pytest.mark.parametrize("form", ["table", "json"])
def test_a_reader_that_has_seen_enough_is_no_error(form: str) -> None:
    command = [sys.executable, "-m", "emotion_clf", "predict", "--text", "Hi you.", "--quiet"]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*command, "--format", form], stdout=writer, stderr=subprocess.PIPE, check=False
    )
    os.close(writer)
    assert done.returncode == 0
    assert done.stderr == b""


def test_a_directory_for_data_that_cannot_be_made_is_one_line() -> None:
    done = emotion_clf("serve", "--data", "/dev/null/data")
    assert done.returncode == 78
    assert done.stderr.splitlines()[-1].startswith("emotion-clf: system: Not a directory")
    assert "Traceback" not in done.stderr


def test_the_words_of_help_are_kept_in_lines() -> None:
    done = emotion_clf()
    assert done.returncode == 2
    assert "predict" in done.stderr
    assert len(done.stderr.splitlines()) > 5


def test_the_recording_cannot_be_the_output(tmp_path: Path, jfk: Path) -> None:
    recording = tmp_path / "in.flac"
    shutil.copy(jfk, recording)
    link = tmp_path / "link.flac"
    link.symlink_to(recording)
    done = emotion_clf("predict", "--file", str(recording), "--output", str(link))
    assert done.returncode == 2
    assert "name another file" in done.stderr
    assert recording.read_bytes() == jfk.read_bytes()


def test_a_failure_leaves_the_former_output(tmp_path: Path) -> None:
    output = tmp_path / "out.csv"
    output.write_text("of yesterday")
    done = emotion_clf("predict", "--text", " ", "--output", str(output))
    assert done.returncode == 65
    assert output.read_text() == "of yesterday"
    assert list(tmp_path.iterdir()) == [output]


def test_stdout_by_its_path_is_appended_to(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    command = [sys.executable, "-m", "emotion_clf", "predict", "--text", "I love it."]
    with log.open("a") as appended:
        subprocess.run(
            [*command, "--format", "csv", "--output", "/dev/stdout"], stdout=appended, check=True
        )
    assert log.read_text().startswith("before\n")
    assert "I love it." in log.read_text()


def test_bytes_that_are_no_text_are_replaced() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "emotion_clf", "predict", "-", "--format", "json"],
        input=b"I love it, caf\xe9.",
        capture_output=True,
        check=True,
    )
    assert "caf\ufffd" in json.loads(done.stdout)["segments"][0]["text"]


def test_an_endless_text_is_refused() -> None:
    with Path("/dev/zero").open("rb") as endless:
        done = subprocess.run(
            [sys.executable, "-m", "emotion_clf", "predict", "-"],
            stdin=endless,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert done.returncode == 65
    assert "text.too_long" in done.stderr


def test_sigterm_leaves_no_temporary_file(tmp_path: Path, jfk: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "emotion_clf", "predict", "--file", str(jfk)],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    assert "fetch" in process.stderr.readline()
    assert list(tmp_path.iterdir())
    process.terminate()
    assert process.wait(60) == 143
    process.stderr.close()
    assert list(tmp_path.iterdir()) == []


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
    assert "✓ serve" in done.stdout


@pytest.mark.parametrize(
    ("setting", "found"),
    [
        ("database_url: postgresql://127.0.0.1:1/x", "✗ database     127.0.0.1:1 does not answer"),
        ("redis_url: redis://127.0.0.1:one/0", "✗ broker       the address holds no usable port"),
        ("transcription: {model: medium}", "✗ whisper      medium is not on this machine"),
        ("classification: {model: /nowhere}", "✗ classifier"),
    ],
)
def test_the_doctor_looks_at_what_the_configuration_names(
    tmp_path: Path, setting: str, found: str
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(setting)
    done = emotion_clf("doctor", "--config", str(config))
    assert done.returncode == 78
    assert found in done.stdout


def test_everything_about_a_recording_at_once(jfk: Path, tmp_path: Path) -> None:
    silenced = tmp_path / "silenced.wav"
    recording = str(jfk.with_name("personal.flac"))
    done = emotion_clf(
        *("predict", "--file", recording, "--format", "json", "--speakers", "1", "--prosody"),
        *("--redact-pii", "phone_number,location", "--redacted-audio", str(silenced)),
    )
    assert done.returncode == 0, done.stderr
    analysis = json.loads(done.stdout)
    said = " ".join(segment["text"] for segment in analysis["segments"])
    assert "[PHONE_NUMBER]" in said
    assert "[LOCATION]" in said
    assert {segment["speaker"] for segment in analysis["segments"]} == {"A"}
    assert all(60 < segment["prosody"]["pitch_median"] < 300 for segment in analysis["segments"])
    assert silenced.stat().st_size == pytest.approx(analysis["duration"] * 32_000, rel=0.01)


def test_foreign_speech_says_what_to_set_and_does_it(jfk: Path) -> None:
    recording = str(jfk.with_name("spanish.flac"))
    refused = emotion_clf("predict", "--file", recording, "--quiet")
    assert refused.returncode == 65
    assert "language.unsupported" in refused.stderr
    assert "--translate" in refused.stderr
    done = emotion_clf("predict", "--file", recording, "--translate", "--format", "csv")
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert "happy" in " ".join(row["text"] for row in rows)
    assert "contento" in " ".join(row["original_text"] for row in rows)
