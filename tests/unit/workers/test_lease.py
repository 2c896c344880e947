from __future__ import annotations

import threading
import time

import pytest
from sqlalchemy.exc import OperationalError

from app.errors import LeaseLost
from ml.errors import Cancelled
from workers.lease import Lease

INTERVAL = 0.01


def wait(event: threading.Event) -> None:
    assert event.wait(5)


def test_it_renews_with_the_last_progress() -> None:
    reports: list[tuple[float, str]] = []
    seen = threading.Event()

    def renew(fraction: float, detail: str) -> bool:
        reports.append((fraction, detail))
        if detail:
            seen.set()
        return False

    with Lease(renew, INTERVAL) as lease:
        lease.progress(1.5, "half")
        wait(seen)
        lease.check()
    assert reports[-1] == (1.0, "half")


def test_check_raises_cancelled_once_the_heartbeat_says_so() -> None:
    with Lease(lambda fraction, detail: True, INTERVAL) as lease:
        deadline = time.monotonic() + 5
        with pytest.raises(Cancelled):
            while time.monotonic() < deadline:
                lease.check()


def test_check_raises_lease_lost() -> None:
    def renew(fraction: float, detail: str) -> bool:
        raise LeaseLost

    with Lease(renew, INTERVAL) as lease:
        deadline = time.monotonic() + 5
        with pytest.raises(LeaseLost):
            while time.monotonic() < deadline:
                lease.check()


def test_work_goes_on_while_the_database_is_away() -> None:
    calls = 0
    renewed = threading.Event()

    def renew(fraction: float, detail: str) -> bool:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise OperationalError("away", {}, Exception())
        renewed.set()
        return False

    with Lease(renew, INTERVAL) as lease:
        wait(renewed)
        lease.check()


def test_no_renewal_after_the_end() -> None:
    calls: list[float] = []
    with Lease(lambda fraction, detail: bool(calls.append(fraction)), INTERVAL):
        time.sleep(INTERVAL * 3)
    count = len(calls)
    time.sleep(INTERVAL * 5)
    assert len(calls) == count
