"""What the images install: enough for what they run, pinned, and nothing heavy for the API."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[3]
HEAVY = {
    "torch",
    "transformers",
    "ctranslate2",
    "faster-whisper",
    "onnxruntime",
    "spacy",
    "numpy",
    "av",
}
RUNS = [
    "app.admin", "app.api.__main__", "app.api.factory", "app.api.gunicorn_parts",
    "emotion_clf.cli.client", "emotion_clf.cli.token", "flower.command", "gunicorn.app.wsgiapp",
    "migrations.run", "workers.celery_app", "workers.dispatcher", "workers.egress.__main__",
    "workers.health",
    "s3fs", "adlfs", "opentelemetry.exporter.otlp.proto.http.trace_exporter",
]  # fmt: skip
IMPORTER = """
import importlib, json, sys
from importlib.machinery import PathFinder

allowed, modules = map(set, json.load(sys.stdin))

class OnlyInstalled:
    def find_spec(self, name, path=None, target=None):
        found = PathFinder.find_spec(name) if path is None else None
        if found and "site-packages" in str(found.origin) and name not in allowed:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, OnlyInstalled())
for module in sorted(modules):
    importlib.import_module(module)
from app.api import create_app
from app.settings import Settings
create_app(Settings.load())
"""


def extras_in(dockerfile: str) -> list[str]:
    (default,) = re.findall(r'^ARG EXTRAS="(.+)"$', (ROOT / dockerfile).read_text(), re.MULTILINE)
    return default.split()


def requirements_of(*extras: str) -> list[str]:
    command = [sys.executable, "deploy/requirements.py", *extras]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return ended.stdout.splitlines()


def with_what_they_need(requirements: Iterable[str]) -> set[str]:
    """Return the names of the packages that pip would install, as they are installed here."""
    seen: set[tuple[str, str]] = set()
    waiting = [Requirement(line) for line in requirements]
    while waiting:
        wanted = waiting.pop()
        for extra in ("", *wanted.extras):
            key = (canonicalize_name(wanted.name), extra)
            if key not in seen:
                seen.add(key)
                waiting += [
                    needed
                    for needed in map(Requirement, distribution(wanted.name).requires or ())
                    if needed.marker is None or needed.marker.evaluate({"extra": extra})
                ]
    return {name for name, _ in seen}


@cache
def in_the_api_image() -> set[str]:
    return with_what_they_need(requirements_of("api", *extras_in("Dockerfile.api")))


def pins_of(lock: str) -> dict[str, set[str]]:
    """Return the versions by package; there are several where they depend on the platform."""
    pins: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==(\S+)", (ROOT / lock).read_text(), re.MULTILINE):
        pins.setdefault(canonicalize_name(name), set()).add(version)
    return pins


def test_what_the_api_image_installs_is_enough_for_all_that_it_runs():
    names = packages_distributions().items()
    allowed = [
        module
        for module, owners in names
        if {canonicalize_name(owner) for owner in owners} & in_the_api_image()
    ]
    ended = subprocess.run(
        [sys.executable, "-c", IMPORTER],
        cwd=ROOT,
        input=json.dumps([allowed, RUNS]),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr


def test_the_api_image_holds_nothing_of_the_pipeline():
    assert not in_the_api_image() & HEAVY
    assert with_what_they_need(requirements_of("pipeline")) & HEAVY, "they are found where they are"


def test_every_package_of_an_image_is_pinned():
    pinned = pins_of("requirements-dev.lock")
    worker = requirements_of("pipeline", "worker", *extras_in("Dockerfile.worker"))
    assert in_the_api_image() - set(pinned) == set()
    assert with_what_they_need(worker) - set(pinned) == set()


def test_the_locks_agree():
    everything = pins_of("requirements-dev.lock")
    assert pins_of("requirements.lock").items() <= everything.items()
    gpu = pins_of("requirements-gpu.lock")
    assert {name: gpu[name] for name in gpu.keys() & everything.keys()} == {
        name: everything[name] for name in gpu.keys() & everything.keys()
    }


def test_torch_and_whisper_meet_one_cuda():
    gpu = set(pins_of("requirements-gpu.lock"))
    assert {"nvidia-cublas-cu12", "nvidia-cudnn-cu12", "torch"} <= gpu
    assert not [name for name in gpu if name.startswith("nvidia-") and name.endswith("-cu13")]


@pytest.mark.parametrize("dockerfile", ["Dockerfile.api", "Dockerfile.worker"])
def test_what_a_dockerfile_copies_is_there_and_not_ignored(dockerfile):
    text = (ROOT / dockerfile).read_text()
    let_in = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE)
        for source in line.split()[:-1]
    }
    assert copied <= let_in
    assert all((ROOT / source).exists() for source in copied)
    linted = subprocess.run(
        [Path(sys.executable).parent / "hadolint", dockerfile],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (linted.returncode, linted.stdout) == (0, "")
    assert text.count("USER 10001:10001") == text.count("HEALTHCHECK") == text.count("LABEL")
