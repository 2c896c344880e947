"""The README names every option and every setting, with the defaults that the code has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from app.settings import Settings
from emotion_clf.cli import COMMANDS
from ml.emotion.checkpoint import CARRIED, METRICS

README = (Path(__file__).parents[2] / "README.md").read_text()


def settings() -> Iterator[tuple[str, Any]]:
    for name, field in Settings.model_fields.items():
        if is_dataclass(field.default):
            for key in fields(field.default):
                yield f"{name}.{key.name}", getattr(field.default, key.name)
        elif isinstance(field.default, BaseModel):
            yield from ((f"{name}.{key}", value) for key, value in field.default)
        else:
            yield name, field.default


@pytest.mark.parametrize(("key", "default"), list(settings()))
def test_the_table_of_settings_is_true(key: str, default: object) -> None:
    row = re.search(rf"^\| `{re.escape(key)}` \| (.*?) \|", README, re.MULTILINE)
    assert row, f"{key} is missing"
    shown = row.group(1).strip("`")
    if isinstance(default, bool):
        assert shown == str(default).lower()
    elif isinstance(default, (int, float)):
        assert float(shown) == default
    elif isinstance(default, tuple):
        assert shown == (", ".join(default) or "none")
    else:
        assert shown == (default or "none")


def test_the_table_names_nothing_that_is_gone() -> None:
    table = README.split("## Settings")[1].split("\n## ")[0]
    named = set(re.findall(r"^\| `([\w.]+)` \|", table, re.MULTILINE))
    assert named == {key for key, _ in settings()}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_every_command_is_named(name: str) -> None:
    section = README.split("### On the command line")[1].split("### In Python")[0]
    command = import_module(f"emotion_clf.cli.{name}").command
    subcommands = getattr(command, "commands", {})
    for subcommand in subcommands:
        assert f"`{name} {subcommand}" in section
    for parameter in [one for each in (command, *subcommands.values()) for one in each.params]:
        for option in (*parameter.opts, *parameter.secondary_opts):
            assert not option.startswith("--") or f"`{option}" in section, option


def test_the_figures_are_those_of_the_carried_checkpoint() -> None:
    section = README.split("## The classifier")[1].split("### Train your own")[0]
    metrics = json.loads((CARRIED / METRICS).read_text())
    features = "features" if metrics["defaults"]["features"] else "none"
    comments = metrics["comments"]["int8"][features]
    transcripts = metrics["transcripts"]["int8"][features]["in_order"]
    measured = [comments["written"][name] for name in comments["written"]]
    measured += [comments["plain"]["macro_f1"], transcripts["base_macro_f1"]]
    for figure in measured:
        assert f"{figure['value']:.3f}" in section


def test_nothing_is_left_to_fill_in() -> None:
    assert not re.findall(r"\b(?:[A-Z]+_)?(?:SESSION|FIGURES|TABLE)\b", README)
