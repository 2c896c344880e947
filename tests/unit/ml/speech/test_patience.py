"""Waiting that ends when the caller wants it to."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from ml.errors import Cancelled, SpeechTimeout
from ml.speech.patience import Patience


@pytest.fixture
def endless() -> Iterator[threading.Event]:
    """An event that comes when the test is over."""
    event = threading.Event()
    yield event
    event.set()


class Calls:
    """A check that counts, and raises at the third call."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self) -> None:
        self.made += 1
        if self.made == 3:
            raise Cancelled()


def go_on() -> None:
    pass


def test_work_gives_its_result() -> None:
    assert Patience(go_on, 60).run(lambda: 7) == 7


def test_work_raises_its_own_error() -> None:
    with pytest.raises(ZeroDivisionError):
        Patience(go_on, 60).run(lambda: 1 // 0)


def test_a_cancel_does_not_wait_for_the_work(endless: threading.Event) -> None:
    check = Calls()
    with pytest.raises(Cancelled):
        Patience(check, 60).run(lambda: endless.wait(60))
    assert check.made == 3
    assert not endless.is_set()


def test_when_time_is_up_the_work_is_left(endless: threading.Event) -> None:
    with pytest.raises(SpeechTimeout):
        Patience(go_on, 0.1).run(lambda: endless.wait(60))


def test_all_the_work_shares_one_time(endless: threading.Event) -> None:
    patience = Patience(go_on, 0.5)
    assert patience.run(lambda: 1) == 1
    time.sleep(0.5)
    assert patience.left < 0
    with pytest.raises(SpeechTimeout):
        patience.run(lambda: endless.wait(60))


def test_a_sleep_lasts_as_long_as_it_says() -> None:
    began = time.monotonic()
    Patience(go_on, 60).sleep(0.3)
    assert time.monotonic() - began >= 0.3


def test_a_sleep_is_cancelled() -> None:
    with pytest.raises(Cancelled):
        Patience(Calls(), 60).sleep(60)


def test_a_sleep_ends_when_time_is_up() -> None:
    with pytest.raises(SpeechTimeout):
        Patience(go_on, 0.1).sleep(60)


def test_a_process_ends_without_the_request_that_it_gave_up() -> None:
    code = (
        "import threading; from ml.speech.patience import Patience\n"
        "from ml.errors import SpeechTimeout\n"
        "try: Patience(lambda: None, 0.1, daemon=True).run(threading.Event().wait)\n"
        "except SpeechTimeout: print('gave up')\n"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "gave up\n", "")
