from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cursors import decode_cursor, encode_cursor
from ml.errors import OptionInvalid


@given(st.datetimes(timezones=st.just(UTC)), st.uuids())
def test_a_cursor_returns_what_it_was_made_from(created_at: datetime, job_id: object) -> None:
    assert decode_cursor(encode_cursor(created_at, job_id)) == (created_at, job_id)  # type: ignore[arg-type]


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "é",
        "!!!!",
        encoded("{}"),
        encoded("3"),
        encoded('["a", "b"]'),
        encoded('["2026-01-01T00:00:00+00:00", "b"]'),
        encoded('["2026-01-01T00:00:00", "b2c8e1ea-7a4e-4b0e-b2cd-f2c8e1ea7a4e"]'),
        encoded('[1, "b2c8e1ea-7a4e-4b0e-b2cd-f2c8e1ea7a4e"]'),
        encoded('["2026-01-01T00:00:00+00:00", 3]'),
    ],
)
def test_another_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(OptionInvalid, match="cursor"):
        decode_cursor(cursor)


@given(st.text())
def test_any_text_is_a_cursor_or_refused(cursor: str) -> None:
    try:
        decode_cursor(cursor)
    except OptionInvalid:
        return
