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
    found = {path.stem for path in (ROOT / package.replace(".", "/")).glob("*.py")}
    return {f"{package}.{name}" for name in found - {"__init__"}}


@pytest.mark.parametrize(
    ("contract", "package", "free"),
    [
        ("inside the service only the HTTP API knows HTTP", "app", set()),
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


def test_the_command_line_is_kept_from_every_store() -> None:
    contract = next(c for name, c in CONTRACTS.items() if name.startswith("the command line"))
    stores = {name for name in modules_in("app") if name.endswith("_store")}
    assert stores <= set(contract["forbidden_modules"])
