from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from ml.emotion import engines
from ml.emotion.engines import choose
from ml.errors import ExtraMissing, ModelUnavailable


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Say what is installed, whether the system shows a GPU, and whether torch sees it."""

    def be(*, packages: str, shown: bool, seen: bool) -> None:
        def found(name: str) -> ModuleSpec | None:
            return ModuleSpec(name, None) if name in packages.split() else None

        torch = ModuleType("torch")
        torch.cuda = SimpleNamespace(is_available=lambda: seen)
        monkeypatch.setitem(sys.modules, "torch", torch)
        monkeypatch.setattr(engines, "find_spec", found)
        node = tmp_path / "nvidiactl"
        monkeypatch.setattr(engines, "_NODES", (str(node),))
        if shown:
            node.touch()

    return be


ALL = "torch transformers onnx"


@pytest.mark.parametrize(
    ("packages", "shown", "seen", "device"),
    [
        (ALL, True, True, "cuda"),
        (ALL, True, False, "cpu"),
        (ALL, False, True, "cpu"),
        ("torch transformers", True, True, "cpu"),
        ("", True, True, "cpu"),
    ],
)
def test_auto_takes_a_gpu_where_all_is_there(machine, packages, shown, seen, device) -> None:
    machine(packages=packages, shown=shown, seen=seen)
    assert choose("auto") == device


def test_cpu_is_cpu(machine) -> None:
    machine(packages=ALL, shown=True, seen=True)
    assert choose("cpu") == "cpu"


def test_a_gpu_that_was_asked_for_and_is_not_there_is_an_error(machine) -> None:
    machine(packages="torch", shown=True, seen=True)
    with pytest.raises(ExtraMissing, match=r"transformers, onnx.*emotion-clf\[gpu\]"):
        choose("cuda")
    machine(packages=ALL, shown=True, seen=False)
    with pytest.raises(ModelUnavailable, match="torch sees no GPU"):
        choose("cuda")


def test_auto_imports_no_torch_where_there_is_no_gpu(tmp_path: Path) -> None:
    """A torch that is installed, and ends the process when it is imported."""
    for name in ("torch", "transformers", "onnx"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r});"
        "from ml.emotion import engines;"
        "engines._NODES = ('/nowhere',);"
        "print(engines.choose('auto'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("cpu", "")
