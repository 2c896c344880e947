"""Prints what extras of setup.cfg ask for, one requirement a line.

``python deploy/requirements.py api`` is what an image without the pipeline installs, and
``python deploy/requirements.py pipeline worker`` one with it. The versions come from
``requirements-dev.lock``, which holds all that ``requirements.lock`` does.
"""

from __future__ import annotations

import argparse
import configparser
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

SETUP = Path(__file__).parents[1] / "setup.cfg"
PIPELINE = "pipeline"
"""How ``install_requires`` is called here, which everybody gets who installs the project."""
_OWN = re.compile(r"emotion-clf\[(.+)\]")


def requirements_of(names: Iterable[str], setup: Path = SETUP) -> list[str]:
    """Return the requirements of extras, and of the extras that they name, without repetitions.

    Raises KeyError for an extra that there is not.
    """
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(setup, encoding="utf-8")
    listed = dict(parser["options.extras_require"])
    listed[PIPELINE] = parser["options"]["install_requires"]
    return sorted({line for name in names for line in _lines(name, listed)})


def _lines(name: str, listed: dict[str, str]) -> Iterator[str]:
    for line in listed[name].splitlines():
        own = _OWN.fullmatch(line)
        if own:
            for extra in own[1].split(","):
                yield from _lines(extra, listed)
        elif line and not line.startswith("#"):
            yield line


def main() -> None:
    """Print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("extras", nargs="+", metavar="EXTRA")
    print(*requirements_of(parser.parse_args().extras), sep="\n")  # noqa: T201


if __name__ == "__main__":
    main()
