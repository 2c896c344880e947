"""A release moves version, changelog and tag together, or nothing at all."""

from __future__ import annotations

import shutil
import subprocess
import sys
from datetime import date
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from emotion_clf._version import __version__

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "deploy" / "release.py"

spec = spec_from_file_location("release", SCRIPT)
assert spec
assert spec.loader
release = module_from_spec(spec)
spec.loader.exec_module(release)

CHANGELOG_HERE = (ROOT / "CHANGELOG.md").read_text()
CHANGELOG = """# Changelog

## [Unreleased]

### Added

- Something [new].

## [1.9.0] - 2026-01-02

### Fixed

- Something old.
"""
CHART = 'apiVersion: v2\nversion: 1.9.0\nappVersion: "1.9.0"\nkubeVersion: ">=1.29.0-0"\n'
KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
MODULE = '"""The version."""\n\n__version__ = "1.9.0"\n'


def test_version_chart_and_changelog_agree() -> None:
    paths = (release.VERSION, release.CHART, release.CHANGELOG)
    release.verify(f"v{__version__}", *((ROOT / path).read_text() for path in paths))


def test_no_section_of_the_changelog_has_a_heading_twice() -> None:
    for part in CHANGELOG_HERE.split("\n## ")[1:]:
        headings = [line for line in part.splitlines() if line.startswith("### ")]
        assert len(headings) == len(set(headings)), part.splitlines()[0]
        assert {heading.removeprefix("### ") for heading in headings} <= KINDS


def test_what_was_unreleased_gets_a_version_and_a_day() -> None:
    text = release.released(CHANGELOG, "1.10.0", date(2026, 3, 4))
    assert (
        "## [Unreleased]\n\n## [1.10.0] - 2026-03-04\n\n### Added\n\n- Something [new].\n" in text
    )
    assert release.notes(text, "1.10.0") == "### Added\n\n- Something [new]."
    assert release.notes(text, "1.9.0") == "### Fixed\n\n- Something old."
    chart = release.with_version(CHART, "1.10.0")
    assert chart == CHART.replace("1.9.0", "1.10.0")
    release.verify("v1.10.0", release.with_version(MODULE, "1.10.0"), chart, text)
    with pytest.raises(release.NotReady, match="Chart"):
        release.verify("v1.10.0", release.with_version(MODULE, "1.10.0"), CHART, text)
    with pytest.raises(release.NotReady, match="Nothing is unreleased"):
        release.released(text, "1.11.0", date(2026, 3, 5))


@pytest.mark.parametrize(
    "version", ["1.9.0", "1.8.9", "0.10.0", "v2.0.0", "2.0", "2.0.0rc1", "02.0.0"]
)
def test_a_version_that_is_no_next_one_is_refused(version: str) -> None:
    with pytest.raises(release.NotReady, match=version.replace(".", r"\.")):
        release.released(CHANGELOG, version, date(2026, 3, 4))


@pytest.mark.parametrize(
    ("tag", "changelog"),
    [
        ("v1.9.1", CHANGELOG),
        ("1.9.0", CHANGELOG),
        ("v1.9.0-rc1", CHANGELOG),
        ("v1.9.0", CHANGELOG.replace("1.9.0", "1.8.0")),
        ("v1.9.0", CHANGELOG.replace(" - 2026-01-02", "")),
        ("v1.9.0", CHANGELOG.replace("## [1.9.0]", "## [2.0.0] - 2026-02-02\n\n- x\n\n## [1.9.0]")),
    ],
)
def test_a_tag_that_disagrees_is_refused(tag: str, changelog: str) -> None:
    with pytest.raises(release.NotReady):
        release.verify(tag, MODULE, CHART, changelog)


def git(repository: Path, *arguments: str) -> str:
    command = ["git", "-C", str(repository), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository that could be released."""
    texts = {release.CHANGELOG: CHANGELOG, release.VERSION: MODULE, release.CHART: CHART}
    for path, text in texts.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    shutil.copy(SCRIPT, tmp_path / "deploy")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "config", "user.name", "a")
    git(tmp_path, "config", "user.email", "a@example.org")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "Begin")
    return tmp_path


def run(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "deploy/release.py", *arguments]
    return subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)


def test_prepare_commits_and_tags(repository: Path) -> None:
    done = run(repository, "prepare", "2.0.0")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("git push origin v2.0.0\n")
    assert git(repository, "status", "--porcelain") == ""
    assert git(repository, "describe", "--exact-match") == "v2.0.0"
    assert run(repository, "check", "v2.0.0").returncode == 0
    assert run(repository, "check", "v1.9.0").returncode == 1
    assert run(repository, "notes", "2.0.0").stdout == "### Added\n\n- Something [new].\n"


def test_prepare_leaves_alone_what_is_not_ready(repository: Path) -> None:
    (repository / "notes.txt").write_text("half done")
    assert run(repository, "prepare", "2.0.0").stderr == "There are uncommitted changes.\n"
    (repository / "notes.txt").unlink()
    git(repository, "tag", "v2.0.0")
    assert run(repository, "prepare", "2.0.0").stderr == "The tag v2.0.0 exists.\n"
    assert run(repository, "prepare", "1.9.0").returncode == 1
    assert run(repository, "prepare").returncode == 2
    assert git(repository, "status", "--porcelain") == ""
    assert git(repository, "log", "--format=%s") == "Begin"
