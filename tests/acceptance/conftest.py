"""What the acceptance tests share."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest


@pytest.fixture
def report(record_property: Callable[[str, object], None]) -> Callable[..., None]:
    """Put figures into the test report, and into the output of ``pytest -s``."""

    def report(**figures: object) -> None:
        for name, value in figures.items():
            record_property(name, value)
        sys.stdout.write(" ".join(f"{name}={value}" for name, value in figures.items()) + "\n")

    return report
