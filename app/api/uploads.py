"""Uploads on their way to the artifact store.

The parts of a form go to a temporary file while they are counted, because lengths that a
client states may lie. Names that a client states never become part of a path.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from typing import IO, Any, cast

from flask import Request
from werkzeug.datastructures import FileStorage

from app.api.errors import RequestInvalid
from app.api.services import services
from app.settings import Settings
from ml.errors import MediaInvalid, SourceTooLarge

FORM_TYPE = "multipart/form-data"
FORM_FIELDS = ("options", "callback_url", "callback_result")
_FORM_OVERHEAD = 64 * 1024
_BYTES_A_CHARACTER = 12
_TITLE_LENGTH = 200
_SEPARATORS = re.compile(r"[/\\]")


def json_limit(settings: Settings) -> int:
    """Return the largest JSON body: the longest text, each character escaped as a pair."""
    return settings.source.max_characters * _BYTES_A_CHARACTER + _FORM_OVERHEAD


def form_limit(settings: Settings) -> int:
    """Return the largest form: the largest recording and what a form puts around it."""
    return settings.source.max_bytes + _FORM_OVERHEAD


class _CountedFile:
    """A temporary file that refuses to grow beyond a limit, and knows the digest of its content.

    It has no name, so nothing is left of it when the process is killed.
    """

    def __init__(self, limit: int) -> None:
        self._left = limit
        self._digest = hashlib.sha256()
        self._file = tempfile.TemporaryFile()  # noqa: SIM115

    def write(self, data: bytes) -> int:
        self._left -= len(data)
        if self._left < 0:
            self._file.close()
            raise SourceTooLarge
        self._digest.update(data)
        return self._file.write(data)

    def hexdigest(self) -> str:
        """Return the SHA-256 of what was written."""
        return self._digest.hexdigest()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class UploadRequest(Request):
    """A request whose uploaded files are counted while they arrive."""

    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> IO[bytes]:
        limit = services().settings.source.max_bytes
        return cast(IO[bytes], _CountedFile(limit))


def uploaded_file(request: Request) -> FileStorage:
    """Return the form's one file; raise what is wrong with it.

    Raises :class:`ml.errors.SourceTooLarge`, :class:`ml.errors.MediaInvalid` for an empty
    file and :class:`app.api.errors.RequestInvalid` for parts that are missing or unknown.
    """
    limit = form_limit(services().settings)
    request.max_content_length = limit
    if (request.content_length or 0) > limit:
        raise SourceTooLarge
    files, fields = request.files, request.form
    unknown = [*(set(files) - {"file"}), *(set(fields) - {"file", *FORM_FIELDS})]
    if unknown:
        raise RequestInvalid([{"field": name, "message": "Unknown field."} for name in unknown])
    uploads = files.getlist("file")
    if len(uploads) != 1:
        message = "Give one recording as a file, such as curl -F file=@talk.mp3."
        raise RequestInvalid([{"field": "file", "message": message}])
    if not uploads[0].stream.read(1):
        raise MediaInvalid("The file is empty.")
    uploads[0].stream.seek(0)
    return uploads[0]


def digest_of(upload: FileStorage) -> str:
    """Return the SHA-256 of an upload's content."""
    return cast(_CountedFile, upload.stream).hexdigest()


def title_of(file_name: str | None) -> str | None:
    """Return what is fit to show of a client's file name."""
    name = _SEPARATORS.split(file_name or "")[-1]
    shown = "".join(letter for letter in name if letter.isprintable()).strip()
    return shown[:_TITLE_LENGTH] or None
