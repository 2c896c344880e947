"""The import contracts name every module that they are about."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CONTRACTS = {
    contract["name"]: contract
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
}


def modules_in(package: str) -> set[str]:
    """Return the modules and packages right inside a package."""
    folder = ROOT / package.replace(".", "/")
    found = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    found |= {path.parent.name for path in folder.glob("*/__init__.py")}
    return {f"{package}.{name}" for name in found}


@pytest.mark.parametrize(
    ("contract", "package", "free"),
    [
        ("inside the service only the HTTP API knows HTTP", "app", {"app.api"}),
        (
            "running and evaluating need no torch; only training and the GPU runtime do",
            "ml.emotion",
            {"ml.emotion.model", "ml.emotion.gpu"},
        ),
    ],
)
def test_no_module_is_left_out(contract: str, package: str, free: set[str]) -> None:
    named = {name for name in CONTRACTS[contract]["source_modules"] if f"{package}." in name}
    assert named == modules_in(package) - free
