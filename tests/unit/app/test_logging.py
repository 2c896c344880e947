from __future__ import annotations

import json
import subprocess
import sys

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
    assert "ValueError" in broken["exception"]
    assert "secret" not in done.stderr


CHATTY = """
import logging
from app.logging import configure_logging
configure_logging("debug", "test")
logging.getLogger("presidio-analyzer").debug("what somebody said")
logging.getLogger("ours").debug("seen")
"""


def test_libraries_that_log_what_was_said_are_not_heard() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHATTY], capture_output=True, text=True, check=True
    )
    (line,) = done.stderr.splitlines()
    assert json.loads(line)["event"] == "seen"
