"""Cookies of an operator's own, for sites that ask for a sign-in."""

from __future__ import annotations

import re
from pathlib import Path

from ml.errors import SettingInvalid

MAX_CHARACTERS = 1 << 20
_FIRST_LINE = re.compile(r"#( Netscape)? HTTP Cookie File")
_HINT = "Export the cookies in Netscape's format (cookies.txt) to a file that workers can read."


def read_cookies(path: str | None) -> str | None:
    """Return what a cookie file holds, or None where there is no such setting.

    The text is all that is passed on: the file itself is never written to, whatever cookies a
    site sets.

    Raises:
        SettingInvalid: it cannot be read, or is not in Netscape's format.

    """
    if path is None:
        return None
    try:
        with Path(path).open(encoding="utf-8") as file:
            text = file.read(MAX_CHARACTERS + 1)
    except (OSError, ValueError) as error:
        raise SettingInvalid("source.cookie_file cannot be read.", hint=_HINT) from error
    if not _FIRST_LINE.match(text) or len(text) > MAX_CHARACTERS:
        raise SettingInvalid(
            "source.cookie_file is not a file of cookies in Netscape's format.", hint=_HINT
        )
    return text
