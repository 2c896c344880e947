"""The temporary file of an upload."""

from __future__ import annotations

import hashlib

import pytest

from app.api.uploads import _CountedFile
from ml.errors import SourceTooLarge


@pytest.fixture(autouse=True)
def scratch(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_it_has_no_name_and_so_goes_with_its_process(scratch):
    file = _CountedFile(100)
    file.write(b"RIFF")
    assert not list(scratch.iterdir())
    file.seek(0)
    assert file.read() == b"RIFF"


def test_it_knows_the_digest_of_all_that_was_written():
    file = _CountedFile(100)
    for part in (b"RI", b"FF"):
        file.write(part)
    assert file.hexdigest() == hashlib.sha256(b"RIFF").hexdigest()


def test_it_takes_as_much_as_its_limit_and_not_a_byte_more():
    file = _CountedFile(4)
    file.write(b"RIFF")
    with pytest.raises(SourceTooLarge):
        file.write(b"x")
    assert file.closed
