"""What a caller gave to be classified, checked one text at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, get_args

from ml.errors import LanguageUnsupported, OptionInvalid, TextEmpty
from ml.text.language import OtherLanguages, name_of, suspect

MAX_CHARACTERS: Final = 2_000
"""A text is judged by its beginning. This much holds more than the tokens that are read, and
keeps tokenizer and tagger from a whole book."""


class Given(NamedTuple):
    """One text to classify."""

    text: str
    """As the caller gave it."""
    doubtful: bool
    """Whether it is, or may be, in another language than English."""

    @property
    def beginning(self) -> str:
        """The part that is read."""
        return self.text.lstrip()[:MAX_CHARACTERS]


def checked(texts: Iterable[str], others: OtherLanguages) -> Iterator[Given]:
    """Yield ``texts``; raise for the first that cannot be classified, by its index.

    Raises:
        OptionInvalid: what was given is no text, or ``others`` none of those it may be.
        TextEmpty: nothing but white space.
        LanguageUnsupported: surely not English, with ``others`` as ``refuse``.

    """
    if isinstance(texts, str):
        raise OptionInvalid("texts is one text; wanted: a list of texts.")
    if others not in get_args(OtherLanguages):
        allowed = ", ".join(get_args(OtherLanguages))
        raise OptionInvalid(f"other_languages is {others!r}; allowed: {allowed}.")
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise OptionInvalid(f"texts[{index}] is {type(text).__name__}; wanted: text.")
        if not text.strip():
            raise TextEmpty(f"texts[{index}] is empty.")
        # NumPy's texts are a class of their own, which tokenizer and JSON need not know.
        yield Given(str(text), others != "ignore" and _doubtful(text, index, others))


def _doubtful(text: str, index: int, others: OtherLanguages) -> bool:
    language = suspect(text)
    if language is not None and language.code != "en" and others == "refuse":
        raise LanguageUnsupported(
            f"texts[{index}] is in {name_of(language.code)}; the classifier reads English.",
        )
    return language is not None
