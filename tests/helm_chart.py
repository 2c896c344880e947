"""Renders the Helm chart with Helm itself, as a cluster would get it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

CHART = Path(__file__).parents[1] / "deploy/helm/emotion-clf"
SIZES = ("laptop", "aks", "large")
NAMESPACE = "speech"
Manifest = dict[str, Any]


@cache
def helm() -> str:
    """The command, or a skip."""
    found = shutil.which("helm", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if found is None:
        pytest.skip("needs Helm: make .venv/bin/helm")
    return found


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [helm(), *arguments], check=False, capture_output=True, text=True, timeout=60
    )


@cache
def render(size: str, *arguments: str, release: str = "emotion-clf") -> tuple[Manifest, ...]:
    """Everything that a value file and further arguments of ``helm template`` make."""
    done = run("template", release, str(CHART), "--namespace", NAMESPACE, *values(size), *arguments)
    assert done.returncode == 0, done.stderr
    loaded = yaml.load_all(done.stdout, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return tuple(manifest for manifest in loaded if manifest)


def values(size: str) -> tuple[str, str]:
    return "--values", str(CHART / f"values-{size}.yaml")


def of_kind(manifests: Iterable[Manifest], *kinds: str) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] in kinds]


def named(manifests: Iterable[Manifest], kind: str, name: str) -> Manifest:
    (found,) = (one for one in of_kind(manifests, kind) if one["metadata"]["name"] == name)
    return found


def templates(manifests: Iterable[Manifest]) -> dict[str, Manifest]:
    """The pods' templates by component."""
    return {
        template["metadata"]["labels"]["app.kubernetes.io/component"]: template
        for one in of_kind(manifests, "Deployment", "StatefulSet", "Job")
        for template in [one["spec"]["template"]]
    }


def container(template: Manifest) -> Manifest:
    (only,) = template["spec"]["containers"]
    return only
