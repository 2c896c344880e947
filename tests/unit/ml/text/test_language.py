from __future__ import annotations

import pytest

from ml.errors import LanguageUnsupported
from ml.text.language import NAMES, detect, name_of, require_english

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


@pytest.mark.parametrize(
    "text",
    [
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
    ],
)
def test_slang_screams_and_mixtures_are_english(text: str) -> None:
    assert require_english(text).code == "en"


@pytest.mark.parametrize("text", ["Hi", "ok", "Danke!", "😀😀😀", "123", "Ω", ""])
def test_what_is_too_short_to_tell_is_english_with_a_doubt(text: str) -> None:
    language = detect(text)
    assert (language.code, language.sure) == ("en", False)


def test_plain_english_is_sure() -> None:
    language = detect("We were so happy that the two of you could come to the party.")
    assert language.sure
    assert language.probability > 0.9


def test_every_language_has_a_name() -> None:
    assert all(code == code.lower() and name.istitle() for code, name in NAMES.items())
    assert name_of("xx") == "xx"
