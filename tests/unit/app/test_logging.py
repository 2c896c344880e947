from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from app.logging import scrub


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no address", "no address"),
        ("https://host/path", "https://host/path"),
        ("see https://host/p?token=1#x now", "see https://host/p now"),
        ("redis://:secret@host:1/0", "redis://host:1/0"),
        ("postgresql+psycopg2://me:pw@db/x", "postgresql+psycopg2://db/x"),
        ("HTTPS://Host/p?token=1", "HTTPS://Host/p"),
        ("Redis://:secret@host:1/0", "Redis://host:1/0"),
        ('{"url": "http://h/a?b=c"}', '{"url": "http://h/a"}'),
        ('"GET /jobs?cursor=1 HTTP/1.1" 200', '"GET /jobs HTTP/1.1" 200'),
        ("is it either/or? yes", "is it either/or? yes"),
        ("Authorization: Bearer abcdefgh.ijk", "Authorization: Bearer [token]"),
        ("Basic dXNlcjpwYXNzd29yZA==", "Basic [token]"),
        ("got eyJhbGciOiJI.eyJzdWIi.c2ln here", "got [token] here"),
    ],
)
def test_scrub(text: str, shown: str) -> None:
    assert scrub(text) == shown


PROGRAM = """
import logging, structlog
from app.logging import configure_logging
configure_logging("info", "test")
log = structlog.get_logger("ours")
log.debug("unseen")
log.info("seen", url="https://host/p?secret=1")
logging.getLogger("theirs").warning("to %s", "redis://:secret@host")
try:
    raise ValueError("https://host/p?secret=1")
except ValueError:
    log.exception("broken")
"""


def test_logs_are_json_lines_without_secrets() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    ours, theirs, broken = (json.loads(line) for line in done.stderr.splitlines())
    assert (ours["event"], ours["url"], ours["service"]) == ("seen", "https://host/p", "test")
    assert theirs["event"] == "to redis://host"
    assert broken["exception"].splitlines() == ["ValueError", "  <string>:10 in <module>"]
    assert "secret" not in done.stderr


def test_work_goes_on_where_its_log_cannot_be_written() -> None:
    command = [sys.executable, "-c", PROGRAM + "print('done')"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=full, text=True, check=False)
    assert done.stdout == "done\n"


CHATTY = """
import logging
from app.logging import configure_logging
configure_logging("debug", "test")
logging.getLogger("presidio-analyzer").debug("what somebody said")
logging.getLogger("ml.ours").debug("seen")
"""


def test_libraries_that_log_what_was_said_are_not_heard() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHATTY], capture_output=True, text=True, check=True
    )
    (line,) = done.stderr.splitlines()
    assert json.loads(line)["event"] == "seen"


def logged(program: str) -> list[dict[str, object]]:
    setup = "import logging, threading, structlog\nfrom app.logging import configure_logging\n"
    done = subprocess.run(
        [sys.executable, "-c", setup + program], capture_output=True, text=True, check=False
    )
    assert "said" not in done.stderr
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_an_exception_is_told_by_its_kind_and_place_not_by_its_words() -> None:
    (line,) = logged("""
configure_logging("info", "test")
try:
    try:
        {}["what was said"]
    except KeyError as error:
        raise OSError(28, "No space left on device", "/what/was/said") from error
except OSError:
    logging.getLogger("theirs").exception("failed")
""")
    assert str(line["exception"]).splitlines() == [
        "OSError (No space left on device)",
        "  <string>:9 in <module>",
        "KeyError",
        "  <string>:7 in <module>",
    ]


def test_what_nobody_catches_is_logged_the_same_way() -> None:
    thread, main = logged("""
configure_logging("info", "test")
def work(): raise ValueError("what was said")
thread = threading.Thread(target=work)
thread.start()
thread.join()
work()
""")
    for line in (thread, main):
        assert (line["event"], line["level"], line["service"]) == ("crashed", "critical", "test")
        assert "ValueError" in str(line["exception"])


def test_what_is_inside_of_structures_is_scrubbed_too() -> None:
    (line,) = logged("""
configure_logging("info", "test")
structlog.get_logger("app.x").info("sent", to=["https://h/p?said=1", {"as": "Bearer saidsaidsaid"}])
""")
    assert line["to"] == ["https://h/p", {"as": "Bearer [token]"}]


@pytest.mark.parametrize(
    ("level", "heard"),
    [
        ("debug", ["app.x debug", "app.x error", "theirs error"]),
        ("error", ["app.x error", "theirs error"]),
    ],
)
def test_the_level_speaks_of_our_own_loggers(level: str, heard: list[str]) -> None:
    """Libraries tell at level debug what they send, headers and bodies with it."""
    lines = logged(f"""
configure_logging("{level}", "test")
for name in ("app.x", "theirs"):
    for level in ("debug", "error"):
        getattr(logging.getLogger(name), level)(level)
""")
    assert [f"{line['logger']} {line['event']}" for line in lines] == heard
