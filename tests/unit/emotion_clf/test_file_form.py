from __future__ import annotations

import io
from pathlib import Path

import pytest
from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header

from emotion_clf.file_form import FileForm


@pytest.mark.parametrize("content", [b"", b"\r\n--", bytes(range(256)) * 4000])
@pytest.mark.parametrize("size", [7, 1 << 24])
def test_a_form_is_what_it_says_however_it_is_read(
    tmp_path: Path, content: bytes, size: int
) -> None:
    path = tmp_path / "recording"
    path.write_bytes(content)
    with path.open("rb") as file:
        form = FileForm(file, 'a "b"; ä.wav', {"options": '{"x": "ä"}'})
        body = b"".join(iter(lambda: form.read(size), b""))
    assert len(body) == len(form)
    assert parsed(body, form.content_type) == ({"options": '{"x": "ä"}'}, 'a "b"; ä.wav', content)


def parsed(body: bytes, content_type: str) -> tuple[dict[str, str], str | None, bytes]:
    kind, options = parse_options_header(content_type)
    _, fields, files = FormDataParser().parse(io.BytesIO(body), kind, len(body), options)
    return fields.to_dict(), files["file"].filename, files["file"].read()
