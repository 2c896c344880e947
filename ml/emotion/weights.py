"""Where a checkpoint is: the carried one, a directory, or the Hub."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from ml.emotion.checkpoint import CARRIED, CONFIG, FILES
from ml.errors import ModelUnavailable

DEFAULT: Final = "default"
_HUB_NAME: Final = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")


def resolve(model: str) -> Path:
    """Return the folder of a checkpoint.

    ``model`` is ``default``, a directory, or a Hub name such as ``org/name``, whose revision
    may follow after an ``@``. Of a repository on the Hub only the files of a checkpoint are
    fetched, and kept in the Hub's cache; what is in there is not asked for again.

    Raises:
        ModelUnavailable: there is no such directory, and the Hub has no such checkpoint or
            cannot be reached.

    """
    return installed(model) or _from_hub(model, FILES)


def installed(model: str) -> Path | None:
    """Return the folder that :func:`resolve` would, or None if it had to ask the Hub."""
    return _installed(model, FILES)


def config_of(model: str) -> Path:
    """Return the checkpoint's ``config.json``; of one on the Hub it fetches no more.

    Raises as :func:`resolve` does.
    """
    folder = _installed(model, (CONFIG,)) or _from_hub(model, (CONFIG,))
    return folder / CONFIG


def _installed(model: str, files: tuple[str, ...]) -> Path | None:
    if model == DEFAULT:
        return CARRIED
    if Path(model).is_dir():
        return Path(model)
    if not _HUB_NAME.fullmatch(model):
        raise _unavailable(model)
    try:
        folder = _snapshot(model, files, local_files_only=True)
    except (OSError, ValueError):
        return None
    # The cache may hold a download that was broken off.
    return folder if all((folder / name).is_file() for name in files) else None


def _from_hub(model: str, files: tuple[str, ...]) -> Path:
    try:
        folder = _snapshot(model, files)
    except Exception as error:
        # The Hub's client raises OSError, ValueError and its HTTP library's own errors.
        raise _unavailable(model) from error
    absent = [name for name in files if not (folder / name).is_file()]
    if absent:
        raise ModelUnavailable(
            f"{model!r} on the Hub is no checkpoint of this project: it lacks {', '.join(absent)}.",
            hint="Name a repository that holds what `emotion-clf train` writes.",
        )
    return folder


def _snapshot(model: str, files: tuple[str, ...], *, local_files_only: bool = False) -> Path:
    from huggingface_hub import snapshot_download

    name, _, revision = model.partition("@")
    folder = snapshot_download(
        name,
        revision=revision or None,
        allow_patterns=list(files),
        local_files_only=local_files_only,
    )
    return Path(folder)


def _unavailable(model: str) -> ModelUnavailable:
    return ModelUnavailable(
        f"The classifier {model!r} is neither a directory, nor could it be had from the Hub.",
        hint="Check the name and the network, or give a directory; "
        f"{DEFAULT!r} is the one that comes with the package.",
    )
