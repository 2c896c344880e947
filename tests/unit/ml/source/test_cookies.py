from __future__ import annotations

from pathlib import Path

import pytest

from ml.errors import SettingInvalid
from ml.source.cookies import read_cookies

COOKIES = "# Netscape HTTP Cookie File\nsite.test\tFALSE\t/\tFALSE\t0\tsession\tmine\n"


def test_without_a_file_there_are_no_cookies() -> None:
    assert read_cookies(None) is None


@pytest.mark.parametrize("first", ["# Netscape HTTP Cookie File", "# HTTP Cookie File"])
def test_a_file_is_read_as_it_is(tmp_path: Path, first: str) -> None:
    path = tmp_path / "cookies.txt"
    path.write_text(f"{first}\n{COOKIES}")
    assert read_cookies(str(path)) == f"{first}\n{COOKIES}"


@pytest.mark.parametrize(
    "content", [b"", b'[{"domain": "site.test"}]', b"\xff\xfe", COOKIES.encode() * 20_000],
    ids=["empty", "JSON", "not text", "too long"],
)  # fmt: skip
def test_what_holds_no_cookies_is_a_wrong_setting(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "cookies.txt"
    path.write_bytes(content)
    with pytest.raises(SettingInvalid, match=r"source\.cookie_file") as caught:
        read_cookies(str(path))
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("name", ["", "missing.txt", "\0"])
def test_what_cannot_be_read_is_a_wrong_setting(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingInvalid, match=r"source\.cookie_file cannot be read") as caught:
        read_cookies(f"{tmp_path}/{name}")
    assert str(tmp_path) not in str(caught.value)
