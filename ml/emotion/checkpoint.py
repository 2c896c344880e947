"""The classifier's weights on disk, and the checks they pass before anything reads them.

A checkpoint is a folder with six files: two ONNX graphs, the tokenizer, the vocabulary of
TF-IDF, ``config.json`` (versions, thresholds, temperatures, the encoder's configuration and
the SHA-256 of each of the first four) and ``metrics.json``, which is for people. One comes
with the package. No file of a checkpoint is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from ml.errors import ModelUnavailable
from ml.taxonomy import SUB_EMOTIONS
from ml.text.features import FEATURES_VERSION

ENCODER: Final = "encoder.onnx"
HEADS: Final = "heads.onnx"
TOKENIZER: Final = "tokenizer.json"
TERMS: Final = "terms.json"
CONFIG: Final = "config.json"
METRICS: Final = "metrics.json"
FILES: Final = (ENCODER, HEADS, TOKENIZER, TERMS, CONFIG)
"""All that a program reads of a checkpoint."""

CARRIED: Final = Path(__file__).parent / "checkpoint"
"""The checkpoint that comes with the package."""

_ENTRIES: Final = {
    "name": str,
    "version": str,
    "features_version": str,
    "max_tokens": int,
    "context_radius": int,
    "backbone": dict,
    "files": dict,
}
_PICKLE_SUFFIXES: Final = {".bin", ".ckpt", ".joblib", ".pickle", ".pkl", ".pt", ".pth"}
_TEMPERATURES: Final = ("sub", "base", "intensity")
_MORE_TEMPERATURES: Final = ("base_from_sub",)
"""Those that a checkpoint need not have."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A verified checkpoint, read into memory."""

    name: str
    version: str
    encoder: bytes = field(repr=False)
    """The ONNX graph from token ids to one vector a sentence."""
    heads: bytes = field(repr=False)
    """The ONNX graph from vectors, context, features and terms to logits."""
    tokenizer: str = field(repr=False)
    """``tokenizer.json``."""
    terms: str = field(repr=False)
    """``terms.json``, the vocabulary of :class:`ml.text.terms.TermWeights`."""
    backbone: Mapping[str, Any] = field(repr=False)
    """The encoder's configuration as transformers writes it; the GPU runtime builds it anew."""
    thresholds: Mapping[str, float]
    """For each sub-emotion the calibrated probability from which it counts as present."""
    temperatures: Mapping[str, float]
    """What the logits of ``sub``, ``base`` and ``intensity`` are divided by, and maybe the
    evidence ``base_from_sub``: see :meth:`ml.emotion.probabilities.Logits.calibrated`."""
    max_tokens: int
    """Longer sentences are cut to this many tokens."""
    context_radius: int
    """How many sentences on either side the heads look at."""

    @classmethod
    def load(cls, path: Path | None = None) -> Checkpoint:
        """Read and verify the checkpoint in the folder ``path``; None is the carried one.

        Raises :class:`~ml.errors.ModelUnavailable` that names the file which is missing,
        damaged, of another version or a pickle.
        """
        folder = CARRIED if path is None else path
        if not folder.is_dir():
            raise ModelUnavailable(f"There is no checkpoint folder {folder.name!r}.")
        _refuse_pickles(folder)
        config = _config(folder)
        return cls(
            name=config["name"],
            version=config["version"],
            encoder=_verified(folder, ENCODER, config),
            heads=_verified(folder, HEADS, config),
            tokenizer=_verified(folder, TOKENIZER, config).decode("utf-8", "replace"),
            terms=_verified(folder, TERMS, config).decode("utf-8", "replace"),
            backbone=MappingProxyType(config["backbone"]),
            thresholds=_numbers(config, "thresholds", SUB_EMOTIONS),
            temperatures=_numbers(config, "temperatures", _TEMPERATURES, _MORE_TEMPERATURES),
            max_tokens=config["max_tokens"],
            context_radius=config["context_radius"],
        )


def identity(path: Path | None = None) -> str:
    """Return what tells this checkpoint from any other; None is the carried one.

    ``config.json`` holds the digests of all other files that matter.
    """
    return digest(_read(CARRIED if path is None else path, CONFIG))


def digest(content: bytes) -> str:
    """Return the SHA-256 of ``content`` as ``config.json`` holds it."""
    return hashlib.sha256(content).hexdigest()


def _config(folder: Path) -> dict[str, Any]:
    """Read ``config.json``, and see that this code can serve it."""
    try:
        found = json.loads(_read(folder, CONFIG))
    except ValueError:
        raise ModelUnavailable(f"The checkpoint's {CONFIG} is damaged.") from None
    config: dict[str, Any] = found if isinstance(found, dict) else {}
    wrong = [name for name, kind in _ENTRIES.items() if not isinstance(config.get(name), kind)]
    if wrong:
        raise ModelUnavailable(f"The checkpoint's {CONFIG} has no usable {', '.join(wrong)}.")
    if config["features_version"] != FEATURES_VERSION:
        raise ModelUnavailable(
            f"The checkpoint wants version {config['features_version']} of the features; "
            f"this is {FEATURES_VERSION}.",
            hint="Use a checkpoint and a release of emotion-clf that belong together.",
        )
    return config


def _numbers(
    config: dict[str, Any], entry: str, names: tuple[str, ...], optional: tuple[str, ...] = ()
) -> Mapping[str, float]:
    """Return ``config[entry]`` as positive numbers, one for each of ``names``."""
    found = config.get(entry)
    try:
        wanted = [*names, *(name for name in optional if name in found)]  # type: ignore[operator]
        numbers = {name: float(found[name]) for name in wanted}  # type: ignore[index]
    except (KeyError, TypeError, ValueError):
        numbers = {}
    if not numbers or not all(0 < number < float("inf") for number in numbers.values()):
        raise ModelUnavailable(f"The checkpoint's {CONFIG} has no usable {entry}.")
    return MappingProxyType(numbers)


def _verified(folder: Path, name: str, config: dict[str, Any]) -> bytes:
    """Return the content of one file whose digest is right.

    What was hashed is what is used: the file is not opened a second time.
    """
    content = _read(folder, name)
    if digest(content) != config["files"].get(name):
        raise ModelUnavailable(
            f"The checkpoint's {name} is damaged: it is not the file that {CONFIG} describes."
        )
    return content


def _read(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError:
        raise ModelUnavailable(f"The checkpoint lacks {name}.") from None


def _refuse_pickles(folder: Path) -> None:
    """Raise if any file of ``folder`` is a pickle by name or by its first bytes."""
    for path in sorted(folder.iterdir()):
        if path.is_file() and (
            path.suffix.lower() in _PICKLE_SUFFIXES or _starts_like_pickle(path)
        ):
            raise ModelUnavailable(
                f"The checkpoint holds {path.name}, a pickle; pickles can run code on loading.",
                hint="Use ONNX and safetensors files.",
            )


def _starts_like_pickle(path: Path) -> bool:
    """Say whether the file starts as pickles of protocol 2 and later or torch archives do."""
    with path.open("rb") as file:
        start = file.read(4)
    return (start[:1] == b"\x80" and start[1:2] in b"\x02\x03\x04\x05") or start == b"PK\x03\x04"
