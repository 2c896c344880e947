from __future__ import annotations

import pytest

from ml.errors import EmotionClfError, SourceTimeout, catalogue


@pytest.mark.parametrize(("code", "error"), sorted(catalogue().items()))
def test_every_error_says_what_happened_and_what_to_do(
    code: str, error: type[EmotionClfError]
) -> None:
    assert error.message.endswith(".")
    assert error.hint
    assert 64 <= error.exit_code <= 78 or error.exit_code == 130
    assert 400 <= error.http_status <= 599


def test_codes_are_unique() -> None:
    codes = [error.code for error in catalogue().values()]
    assert len(codes) == len(set(codes))


def test_message_and_hint_can_be_said_anew() -> None:
    error = SourceTimeout("It took 10 seconds.", hint="Wait.")
    assert str(error) == "It took 10 seconds. Wait."
    assert error.transient
