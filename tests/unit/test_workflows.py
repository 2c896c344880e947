"""What the linters do not know of the workflows: this project's rules, and what they refer to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FILES = [*WORKFLOWS, *sorted((ROOT / ".github" / "actions").glob("*/action.yml"))]
PINNED = re.compile(r"(?P<action>[\w./-]+)@(?P<commit>[0-9a-f]{40}) # (?P<version>v\d+\.\d+\.\d+)")


def jobs() -> Iterator[Any]:
    for path in WORKFLOWS:
        for name, job in yaml.safe_load(path.read_text())["jobs"].items():
            yield pytest.param(job, id=f"{path.stem}-{name}")


@pytest.mark.parametrize("job", list(jobs()))
def test_a_job_ends_and_says_what_it_may(job: dict[str, Any]) -> None:
    assert "permissions" in job
    assert "uses" in job or 0 < job["timeout-minutes"] <= 180


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_itself_may_nothing(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {}
    triggers = workflow[True]  # what YAML 1.1 takes `on` for
    assert not {"pull_request_target", "workflow_run", "issue_comment"} & set(triggers)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_only_pull_requests_replace_each_other(path: Path) -> None:
    # Of two runs that wait in one group GitHub cancels the older, whatever cancel-in-progress says.
    shared = yaml.safe_load(path.read_text()).get("concurrency")
    if shared is not None:
        assert re.search(r"github\.run_id|-\$\{\{ github\.ref \}\}$", shared["group"])
        assert shared["cancel-in-progress"] in (
            False,
            "${{ github.event_name == 'pull_request' }}",
        )


def test_an_action_is_one_commit_everywhere() -> None:
    commits: dict[str, set[tuple[str, str]]] = {}
    for path in FILES:
        for used in re.findall(r"uses: (.+)$", path.read_text(), re.MULTILINE):
            if used.startswith("./"):
                assert (ROOT / used / "action.yml").exists() or (ROOT / used).is_file(), used
                continue
            pinned = PINNED.fullmatch(used)
            assert pinned, f"{path.name}: {used}"
            repository = "/".join(pinned["action"].split("/")[:2])
            commits.setdefault(repository, set()).add((pinned["commit"], pinned["version"]))
    assert {name: found for name, found in commits.items() if len(found) > 1} == {}


def test_each_command_of_make_is_one_of_its_targets() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {name for path in FILES for name in re.findall(r"run: make ([\w-]+)", path.read_text())}
    assert "test" in named
    assert named <= targets


def test_what_the_workflows_read_is_there() -> None:
    paths = re.compile(r"(?<![\w./])(?:deploy|tests|Dockerfile\.\w+)(?:/[\w./-]*\w)?")
    named = {found for path in FILES for found in paths.findall(path.read_text())}
    missing = {name for name in named if "." in name and not (ROOT / name).exists()}
    assert {"tests/smoke.py", "deploy/release.py", "Dockerfile.api"} <= named
    assert missing == set()


@pytest.mark.parametrize(("workflow", "job"), [("ci", "images"), ("images", "build")])
def test_each_image_is_a_stage_of_its_dockerfile(workflow: str, job: str) -> None:
    text = (ROOT / ".github" / "workflows" / f"{workflow}.yml").read_text()
    arguments = set(re.findall(r"^ +([A-Z]+)=\$\{\{", text, re.MULTILINE))
    for image in yaml.safe_load(text)["jobs"][job]["strategy"]["matrix"]["include"]:
        dockerfile = (ROOT / image["file"]).read_text()
        stages = re.findall(r"^FROM .+ AS (\w+)$", dockerfile, re.MULTILINE)
        assert not image["target"] or image["target"] in stages
        assert arguments <= set(re.findall(r"^ARG (\w+)", dockerfile, re.MULTILINE))


def test_the_python_versions_that_are_tested_are_those_that_are_promised() -> None:
    ci = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    promised = re.findall(r"Python :: (3\.\d+)", (ROOT / "setup.cfg").read_text())
    assert ci["jobs"]["test"]["strategy"]["matrix"]["python"] == promised
