"""``emotion-clf doctor``: what a user would have to debug, in one table."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import click

from emotion_clf._version import __version__
from emotion_clf.local.service import default_directory
from ml.errors import EmotionClfError

_GIB = 1024**3
_LITTLE_DISK = 2 * _GIB


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    state: Literal["ok", "missing", "off"]
    """``missing`` is needed and not there; ``off`` is optional."""
    detail: str


@click.command()
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="A config.yaml.")
def command(config: Path | None) -> None:
    """Check versions, weights, decoder, broker, database, GPU and disk."""
    findings = list(examine(config))
    marks = {"ok": "✓", "missing": "✗", "off": "-"}
    for finding in findings:
        click.echo(f"{marks[finding.state]} {finding.name:<12} {finding.detail}")
    if any(finding.state == "missing" for finding in findings):
        raise click.exceptions.Exit(78)


def examine(config: Path | None) -> Iterator[Finding]:
    """Yield what was found; nothing is changed and nothing is downloaded."""
    yield Finding("emotion-clf", "ok", f"{__version__}, Python {platform.python_version()}")
    yield _packages()
    yield from _settings(config)
    yield _attempt("decoder", _decoder)
    yield _attempt("whisper", _whisper)
    yield _attempt("classifier", _classifier)
    yield _gpu()
    yield _disk()


def _packages() -> Finding:
    names = ("faster-whisper", "ctranslate2", "onnxruntime", "av", "yt-dlp", "spacy", "celery")
    found, absent = [], []
    for name in names:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            absent.append(name)
    detail = ", ".join(found) + (f"; not installed: {', '.join(absent)}" if absent else "")
    # Celery belongs to the service; the command line works without it.
    return Finding("packages", "missing" if set(absent) - {"celery"} else "ok", detail)


def _attempt(name: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(name, "ok", look())
    except (EmotionClfError, ImportError, OSError) as error:
        return Finding(name, "missing", str(error))


def _settings(config: Path | None) -> Iterator[Finding]:
    from app.settings import Settings

    try:
        settings = Settings.load(config)
    except EmotionClfError as error:
        yield Finding("settings", "missing", str(error))
        return
    yield Finding("settings", "ok", f"{config or 'defaults and environment'}")
    yield _server("database", settings.database_url)
    yield _server("broker", settings.redis_url)


def _server(name: str, url: str) -> Finding:
    """Ask a server for a sign of life; one that no setting names is optional."""
    import socket
    from urllib.parse import urlsplit

    address = urlsplit(url)
    where = f"{address.hostname}:{address.port}"
    try:
        with socket.create_connection((address.hostname or "", address.port or 0), timeout=2):
            return Finding(name, "ok", f"{where} answers")
    except OSError:
        return Finding(name, "off", f"{where} does not answer; `emotion-clf serve` brings its own")


def _decoder() -> str:
    import av

    return f"PyAV {av.__version__} with FFmpeg {av.ffmpeg_version_info}"


def _whisper() -> str:
    from app.settings import Settings
    from ml.speech.weights import resolve

    model = Settings.load().transcription.model
    return f"{model} in {resolve(model)}"


def _classifier() -> str:
    from app.settings import Settings
    from ml.emotion.classify import classifier_of

    classifier = classifier_of(Settings.load().classification)
    return f"{classifier.name} {classifier.version}, digests verified"


def _gpu() -> Finding:
    try:
        import ctranslate2

        count = ctranslate2.get_cuda_device_count()
    except (ImportError, RuntimeError) as error:
        return Finding("gpu", "off", f"none usable ({error})")
    if count == 0:
        return Finding("gpu", "off", "none; everything runs on the CPU")
    return Finding("gpu", "ok", f"{count} CUDA device(s)")


def _disk() -> Finding:
    directory = default_directory()
    existing = next(path for path in (directory, *directory.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    state: Literal["ok", "missing"] = "ok" if free > _LITTLE_DISK else "missing"
    return Finding("disk", state, f"{free / _GIB:.1f} GiB free for {directory}")
