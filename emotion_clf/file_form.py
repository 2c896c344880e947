"""A form with a recording, read from the disk while it is sent."""

from __future__ import annotations

import io
import os
import secrets
from collections.abc import Iterator, Mapping
from typing import IO

from urllib3.fields import RequestField

_CHUNK = 1 << 16


class FileForm:
    """A ``multipart/form-data`` body: a file and some fields. It is sent once.

    requests itself would read the whole file into memory.
    """

    def __init__(self, file: IO[bytes], name: str, fields: Mapping[str, str]) -> None:
        boundary = secrets.token_hex(16)
        self.content_type = f"multipart/form-data; boundary={boundary}"
        head = b"".join(
            _part(boundary, RequestField(key, value)) + value.encode() + b"\r\n"
            for key, value in fields.items()
        )
        # Names may hold bytes that are no text, and then cannot be sent.
        shown = os.fsencode(name).decode("utf-8", "replace")
        head += _part(boundary, RequestField("file", b"", filename=shown))
        size = os.fstat(file.fileno()).st_size
        tail = f"\r\n--{boundary}--\r\n".encode()
        self._parts = [io.BytesIO(head), file, io.BytesIO(tail)]
        self._length = len(head) + size + len(tail)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        while data := self.read(_CHUNK):
            yield data

    def read(self, size: int) -> bytes:
        """Return up to ``size`` bytes of the body; none at its end."""
        while self._parts:
            if data := self._parts[0].read(size):
                return data
            self._parts.pop(0)
        return b""


def _part(boundary: str, field: RequestField) -> bytes:
    field.make_multipart()
    return f"--{boundary}\r\n{field.render_headers()}".encode()
