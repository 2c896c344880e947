from __future__ import annotations

import time

import pytest

from ml.errors import LanguageUnsupported
from ml.text.language import NAMES, detect, name_of, require_english, suspect

FOREIGN = {
    "de": "Das ist heute ein wirklich schöner Tag.",
    "fr": "Je suis très content de te voir ce matin.",
    "es": "No puedo creer que hayas hecho eso conmigo.",
    "it": "Non posso crederci, sono molto felice oggi.",
    "pt": "Eu não acredito que isso aconteceu comigo.",
    "nl": "Ik kan niet geloven dat je dat gedaan hebt.",
    "sv": "Jag kan inte tro att du gjorde det mot mig.",
    "pl": "Nie mogę uwierzyć, że to zrobiłeś.",
    "ru": "Я очень рад тебя видеть",
    "ja": "これは日本語です",
    "zh": "我今天非常高兴",
    "ko": "오늘 정말 행복해요",
    "tr": "Bugün seni gördüğüm için çok mutluyum.",
    "ar": "أنا سعيد جدا اليوم",
    "hi": "मैं आज बहुत खुश हूँ",
    "el": "Είμαι πολύ χαρούμενος",
}


@pytest.mark.parametrize("code", FOREIGN)
def test_other_languages_are_refused_by_name(code: str) -> None:
    assert detect(FOREIGN[code]).code == code
    with pytest.raises(LanguageUnsupported, match=name_of(code)):
        require_english(FOREIGN[code])


ENGLISH = [
    "I can't believe you did that to me.",
    "lmao dude u r so wrong smh",
    "OMG!!! NOOOOOO way",
    "HAHAHAAHHHAHAHAHAHAHAAAAAa no",
    "God damn, [NAME] gets 2 Mikans? Lucky.",
    "QUARANTINE! QUARANTINE!",
    "INTERNAL h265 YiFi ACs eztv",
    "Dude this is so krass, ich kann nicht mehr lol",
    "He said ciao bella and then we all laughed about it",
    "The sign read 出口 and we left.",
]


@pytest.mark.parametrize("text", ENGLISH)
def test_slang_screams_and_mixtures_are_english(text: str) -> None:
    assert require_english(text).code == "en"


@pytest.mark.parametrize("text", ["Hi", "ok", "Danke!", "😀😀😀", "123", "Ω", ""])
def test_what_is_too_short_to_tell_is_english_with_a_doubt(text: str) -> None:
    language = detect(text)
    assert (language.code, language.sure) == ("en", False)


@pytest.mark.parametrize(
    "text",
    [
        "Is dit van jou of is dat van mij?",
        "Ik had gedacht dat we samen zouden gaan.",
        "Jeg tror at han er glad for at se dig.",
        "Her er det så koldt at jeg fryser.",
        "Are multe probleme cu mașina lui.",
        "My jesteśmy bardzo szczęśliwi dzisiaj.",
    ],
)
def test_words_that_english_shares_do_not_hide_another_language(text: str) -> None:
    found = suspect(text)
    assert found is not None
    assert found.code != "en"


@pytest.mark.parametrize("code", FOREIGN)
def test_other_languages_are_suspect(code: str) -> None:
    found = suspect(FOREIGN[code])
    assert found is not None
    assert found.code == code


@pytest.mark.parametrize(
    "text",
    ["Danke!", "Hola amigo", "Ich liebe dich", "No lo sé", "Dziękuję", "Bonjour"],
)
def test_what_is_short_and_looks_foreign_is_doubtful(text: str) -> None:
    found = suspect(text)
    assert found is not None
    assert (found.code, found.sure) == ("en", False)


@pytest.mark.parametrize(
    "text",
    [
        *ENGLISH[:3],
        *ENGLISH[-3:],
        "Hi",
        "ok",
        "No.",
        "lol",
        "Wow",
        "Thanks!",
        "Oh god another injury",
        "😀😀",
        "!",
        "",
    ],
)
def test_what_is_english_or_says_nothing_is_not_suspect(text: str) -> None:
    assert suspect(text) is None


@pytest.mark.parametrize("text", ["word " * 100_000, "a" * 500_000, "да " * 100_000, "?" * 500_000])
def test_a_whole_book_is_judged_by_its_beginning(text: str) -> None:
    started = time.perf_counter()
    suspect(text)
    assert time.perf_counter() - started < 0.5


def test_plain_english_is_sure() -> None:
    language = detect("We were so happy that the two of you could come to the party.")
    assert language.sure
    assert language.probability > 0.9


def test_every_language_has_a_name() -> None:
    assert all(code == code.lower() and name.istitle() for code, name in NAMES.items())
    assert name_of("xx") == "xx"
