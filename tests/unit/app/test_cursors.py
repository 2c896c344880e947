from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.stores.cursors import decode_cursor, encode_cursor
from ml.errors import OptionInvalid


@given(st.datetimes(timezones=st.just(UTC)), st.uuids())
def test_a_cursor_returns_what_it_was_made_from(created_at: datetime, job_id: object) -> None:
    assert decode_cursor(encode_cursor(created_at, job_id)) == (created_at, job_id)  # type: ignore[arg-type]


JOB = "b2c8e1ea-7a4e-4b0e-b2cd-f2c8e1ea7a4e"


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
        encoded(f'["2026-01-01T00:00:00", "{JOB}"]'),
        encoded(f'[1, "{JOB}"]'),
        encoded('["2026-01-01T00:00:00+00:00", 3]'),
        encoded(f'["0001-01-01T00:00:00+23:59", "{JOB}"]'),
        encoded(f'["9999-12-31T23:59:59-23:59", "{JOB}"]'),
    ],
)
def test_another_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(OptionInvalid, match="cursor"):
        decode_cursor(cursor)


@pytest.mark.parametrize("offset", ["+00:00", "+05:30", "-23:59", "+23:59:59"])
def test_a_position_is_in_utc_whatever_offset_it_came_with(offset: str) -> None:
    moment = f"2026-06-01T12:00:00{offset}"
    position, _ = decode_cursor(encoded(f'["{moment}", "{JOB}"]'))
    assert position == datetime.fromisoformat(moment)
    assert position.utcoffset() == timedelta(0)


@given(st.text())
def test_any_text_is_a_cursor_or_refused(cursor: str) -> None:
    try:
        decode_cursor(cursor)
    except OptionInvalid:
        return
