"""Keep version, changelog, chart and tag in step.

    python deploy/release.py prepare 1.2.0  # what is unreleased becomes 1.2.0, committed and tagged
    python deploy/release.py check v1.2.0   # fails where tag, version, chart and changelog disagree
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
CHART = Path("deploy", "helm", "emotion-clf", "Chart.yaml")

_HEADING = re.compile(r"^## \[(?P<name>[^\]]+)\](?: - (?P<day>\d{4}-\d{2}-\d{2}))?$", re.MULTILINE)
_ASSIGNED = re.compile(
    r'^(?:__version__ = |version: |appVersion: )"?(?P<version>[^"\n]*)"?$', re.MULTILINE
)
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


def with_version(text: str, version: str) -> str:
    """Return the version's module, or the chart, with another version in each place."""
    return _ASSIGNED.sub(lambda found: found[0].replace(found["version"], version), text)


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


def verify(tag: str, module: str, chart: str, changelog: str) -> None:
    """Raise NotReady unless a tag, the version's module, the chart and the changelog agree."""
    version = tag.removeprefix("v")
    _parsed(version)
    if tag != f"v{version}":
        raise NotReady(f"The tag is {tag}, not v{version}.")
    for path, text, places in ((VERSION, module, 1), (CHART, chart, 2)):
        found = [assigned["version"] for assigned in _ASSIGNED.finditer(text)]
        if found != [version] * places:
            raise NotReady(f"The tag is {tag}, {path} says {' and '.join(found)}.")
    notes(changelog, version)
    newest = [heading["name"] for heading in _HEADING.finditer(changelog)][1:2]
    if newest != [version]:
        raise NotReady(f"The newest release in {CHANGELOG} is {newest}, not {version}.")


def prepare(version: str) -> str:
    """Write, commit and tag a release in the repository; return what is left to do."""
    if _git("status", "--porcelain"):
        raise NotReady("There are uncommitted changes.")
    if _git("tag", "--list", f"v{version}"):
        raise NotReady(f"The tag v{version} exists.")
    texts = {
        CHANGELOG: released((ROOT / CHANGELOG).read_text(), version, datetime.now(UTC).date()),
        VERSION: with_version((ROOT / VERSION).read_text(), version),
        CHART: with_version((ROOT / CHART).read_text(), version),
    }
    verify(f"v{version}", texts[VERSION], texts[CHART], texts[CHANGELOG])
    for path, text in texts.items():
        (ROOT / path).write_text(text)
    _git("commit", "--quiet", "--message", f"Release {version}", "--", *map(str, texts))
    _git("tag", "--annotate", f"v{version}", "--message", f"emotion-clf {version}")
    return f"Push main, wait until its pipeline is green, then: git push origin v{version}"


def _check(tag: str) -> str:
    verify(tag, *((ROOT / path).read_text() for path in (VERSION, CHART, CHANGELOG)))
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
