"""The fetch stage: from a link, a file or an upload to PCM in the store."""

from __future__ import annotations

import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ml.errors import MediaInvalid, SourceNotFound, SourceTooLarge
from ml.source.decode import decode
from ml.source.download import download
from ml.source.parts import cut
from ml.stage import Context, Recording, Span

_DOWNLOAD_SHARE = 0.7
_REPORT_SECONDS = 0.25
_COPY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class _Opened:
    """An input as an open file, and the share of the progress that opening it took."""

    file: IO[bytes]
    progress_before: float = 0.0


def fetch(context: Context) -> Recording:
    """Fetch, decode and store the recording that the job starts from.

    Raises:
        SourceError: it could not be fetched.
        MediaError: it is not a recording that can be decoded.
        Cancelled: the caller asked to stop.

    """
    limits = context.options.source
    target = context.workdir / "decoded.wav"
    opened = _open(context)
    with opened.file:
        decoded = decode(
            opened.file,
            target,
            max_seconds=limits.max_seconds,
            on_progress=_reporter(context, opened.progress_before),
        )
    key = f"audio/{decoded.sha256}.wav"
    if not context.store.exists(key):
        context.store.write_file(key, target)
    parts: tuple[Span, ...] = (Span(0.0, decoded.duration),)
    if context.options.transcription.in_parts and decoded.duration > limits.part_seconds:
        context.check()
        with target.open("rb") as wav:
            parts = cut(wav, decoded.duration, limits.part_seconds)
    context.progress(1.0, f"{decoded.duration:.0f} s of audio")
    return Recording(audio=key, duration=decoded.duration, parts=parts)


def _open(context: Context) -> _Opened:
    openers: dict[str, Callable[[Context], _Opened]] = {
        "url": _open_url,
        "file": _open_file,
        "upload": _open_upload,
    }
    return openers[context.source.kind](context)


def _open_url(context: Context) -> _Opened:
    path = download(
        context.source.value,
        context.workdir,
        context.options.source,
        progress=lambda fraction, detail: context.progress(fraction * _DOWNLOAD_SHARE, detail),
        check=context.check,
    )
    return _Opened(path.open("rb"), _DOWNLOAD_SHARE)


def _open_file(context: Context) -> _Opened:
    path = Path(context.source.value)
    try:
        status = path.stat()
        # A pipe or a device would block for ever, or never end.
        if not stat.S_ISREG(status.st_mode):
            raise MediaInvalid("That is not a regular file.")
        file = path.open("rb")
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        raise SourceNotFound(
            "The file does not exist or cannot be read.", hint="Check the path."
        ) from error
    if status.st_size > context.options.source.max_bytes:
        file.close()
        raise SourceTooLarge()
    return _Opened(file)


def _open_upload(context: Context) -> _Opened:
    """Copy the upload here first: decoders seek, which is slow in an object store."""
    copy = context.workdir / "upload"
    copied = 0
    try:
        with context.store.open(context.source.value) as upload, copy.open("wb") as sink:
            while data := upload.read(_COPY_BYTES):
                context.check()
                copied += len(data)
                if copied > context.options.source.max_bytes:
                    raise SourceTooLarge()
                sink.write(data)
    except FileNotFoundError as error:
        raise SourceNotFound("The upload is no longer there.", hint="Upload it again.") from error
    return _Opened(copy.open("rb"))


def _reporter(context: Context, before: float) -> Callable[[float, float | None], None]:
    """Return a progress callback for the decoder that speaks up a few times a second."""
    next_report = 0.0

    def report(done: float, expected: float | None) -> None:
        nonlocal next_report
        now = time.monotonic()
        if now < next_report:
            return
        next_report = now + _REPORT_SECONDS
        context.check()
        if expected and expected >= done:
            fraction, detail = done / expected, f"{done:.0f} of {expected:.0f} s"
        else:
            fraction, detail = 0.0, f"{done:.0f} s"
        context.progress(before + (1 - before) * fraction, detail)

    return report
