"""Keep version, changelog and tag in step.

    python deploy/release.py prepare 1.2.0  # what is unreleased becomes 1.2.0, committed and tagged
    python deploy/release.py check v1.2.0   # fails where tag, version and changelog disagree
    python deploy/release.py notes 1.2.0    # prints what the changelog says about 1.2.0

Needs nothing but Python and git; ``prepare`` pushes nothing.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]
CHANGELOG = Path("CHANGELOG.md")
VERSION = Path("emotion_clf", "_version.py")

_HEADING = re.compile(r"^## \[(?P<name>[^\]]+)\](?: - (?P<day>\d{4}-\d{2}-\d{2}))?$", re.MULTILINE)
_ASSIGNMENT = re.compile(r'^__version__ = "(?P<version>[^"]*)"$', re.MULTILINE)
_RELEASE = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


class NotReady(Exception):
    """Why nothing can be released; the message is for a person."""


def released(changelog: str, version: str, day: date) -> str:
    """Return the changelog with what was unreleased under a version and its day.

    Raises:
        NotReady: the version is no version, or not newer than the last, or nothing is unreleased.

    """
    new = _parsed(version)
    headings = list(_HEADING.finditer(changelog))
    if not headings or headings[0]["name"] != "Unreleased":
        raise NotReady(f"{CHANGELOG} does not begin with [Unreleased].")
    if not _section(changelog, "Unreleased"):
        raise NotReady("Nothing is unreleased.")
    if len(headings) > 1 and new <= _parsed(headings[1]["name"]):
        raise NotReady(f"{version} does not come after {headings[1]['name']}.")
    at = headings[0].end()
    return f"{changelog[:at]}\n\n## [{version}] - {day.isoformat()}{changelog[at:]}"


def with_version(module: str, version: str) -> str:
    """Return the text of the version's module with another version."""
    return _ASSIGNMENT.sub(f'__version__ = "{version}"', module, count=1)


def notes(changelog: str, version: str) -> str:
    """Return what the changelog says about a released version.

    Raises:
        NotReady: it says nothing, or names no day.

    """
    text = _section(changelog, version)
    if not text:
        raise NotReady(f"{CHANGELOG} says nothing about {version}.")
    if not any(found["name"] == version and found["day"] for found in _HEADING.finditer(changelog)):
        raise NotReady(f"{CHANGELOG} does not say when {version} was released.")
    return text


def verify(tag: str, module: str, changelog: str) -> None:
    """Raise NotReady unless a tag, the version's module and the changelog say the same."""
    version = tag.removeprefix("v")
    _parsed(version)
    found = _ASSIGNMENT.search(module)
    if tag != f"v{version}" or not found or found["version"] != version:
        raise NotReady(f"The tag is {tag}, {VERSION} says {found and found['version']}.")
    notes(changelog, version)
    newest = [heading["name"] for heading in _HEADING.finditer(changelog)][1:2]
    if newest != [version]:
        raise NotReady(f"The newest release in {CHANGELOG} is {newest[0]}, not {version}.")


def prepare(version: str) -> str:
    """Write, commit and tag a release in the repository; return what is left to do."""
    if _git("status", "--porcelain"):
        raise NotReady("There are uncommitted changes.")
    if _git("tag", "--list", f"v{version}"):
        raise NotReady(f"The tag v{version} exists.")
    changelog = released((ROOT / CHANGELOG).read_text(), version, datetime.now(UTC).date())
    module = with_version((ROOT / VERSION).read_text(), version)
    verify(f"v{version}", module, changelog)
    (ROOT / CHANGELOG).write_text(changelog)
    (ROOT / VERSION).write_text(module)
    _git("commit", "--quiet", "--message", f"Release {version}", "--", str(CHANGELOG), str(VERSION))
    _git("tag", "--annotate", f"v{version}", "--message", f"emotion-clf {version}")
    return f"Push main, wait until its pipeline is green, then: git push origin v{version}"


def _check(tag: str) -> str:
    verify(tag, (ROOT / VERSION).read_text(), (ROOT / CHANGELOG).read_text())
    return f"{tag} it is."


def _notes(version: str) -> str:
    return notes((ROOT / CHANGELOG).read_text(), version)


def _section(changelog: str, name: str) -> str:
    headings = list(_HEADING.finditer(changelog))
    ends = [heading.start() for heading in headings[1:]] + [len(changelog)]
    for heading, end in zip(headings, ends, strict=True):
        if heading["name"] == name:
            return changelog[heading.end() : end].strip()
    return ""


def _parsed(version: str) -> tuple[int, ...]:
    found = _RELEASE.fullmatch(version)
    if not found:
        raise NotReady(f"{version} is not of the form 1.2.3.")
    return tuple(int(part) for part in found.groups())


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(ROOT), *arguments],  # noqa: S607 - whichever git its user has
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout.strip()


_COMMANDS: dict[str, Callable[[str], str]] = {"prepare": prepare, "check": _check, "notes": _notes}


def main(arguments: list[str]) -> int:
    """Run one command; return its exit status: 0, 1 if it is not ready, 2 for wrong usage."""
    if len(arguments) != 2 or arguments[0] not in _COMMANDS:
        sys.stderr.write(__doc__ or "")
        return 2
    try:
        sys.stdout.write(_COMMANDS[arguments[0]](arguments[1]) + "\n")
    except NotReady as reason:
        sys.stderr.write(f"{reason}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
