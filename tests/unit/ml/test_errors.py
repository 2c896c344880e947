from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from ml.errors import EmotionClfError, SourceTimeout, SourceUnreachable, SpeechTimeout, catalogue


@pytest.mark.parametrize(("code", "error"), sorted(catalogue().items()))
def test_every_error_says_what_happened_and_what_to_do(
    code: str, error: type[EmotionClfError]
) -> None:
    assert error.message.endswith(".")
    assert error.hint
    assert 64 <= error.exit_code <= 78 or error.exit_code == 130
    assert 400 <= error.http_status <= 599


def test_codes_are_unique() -> None:
    """The catalogue would hide two classes with one code."""
    own = (error for error in every(EmotionClfError) if error.__module__ == "ml.errors")
    counts = Counter(vars(error)["code"] for error in own if "code" in vars(error))
    assert counts.total() == len(counts) > 20


def every(error: type[EmotionClfError]) -> Iterator[type[EmotionClfError]]:
    yield error
    for kind in error.__subclasses__():
        yield from every(kind)


def test_what_took_too_long_is_not_tried_again() -> None:
    assert not SourceTimeout.transient
    assert not SpeechTimeout.transient
    assert SourceUnreachable.transient


def test_message_and_hint_can_be_said_anew() -> None:
    error = SourceTimeout("It took 10 seconds.", hint="Wait.")
    assert str(error) == "It took 10 seconds. Wait."
    assert error.code == SourceTimeout.code
