"""Which language a text is in, and whether that is sure enough to refuse it."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from ml.errors import LanguageUnsupported

OtherLanguages = Literal["refuse", "mark", "ignore"]
"""What to do with a text that is not English: raise LanguageUnsupported, mark its prediction
``low_confidence``, or not look. A text that only may be another language is marked at most."""

NAMES = {
    "ar": "Arabic", "bg": "Bulgarian", "bn": "Bengali", "ca": "Catalan", "cs": "Czech",
    "da": "Danish", "de": "German", "el": "Greek", "en": "English", "es": "Spanish",
    "et": "Estonian", "eu": "Basque", "fa": "Persian", "fi": "Finnish", "fr": "French",
    "gu": "Gujarati", "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian",
    "id": "Indonesian", "it": "Italian", "ja": "Japanese", "ka": "Georgian", "ko": "Korean",
    "lt": "Lithuanian", "lv": "Latvian", "ml": "Malayalam", "mr": "Marathi", "nl": "Dutch",
    "no": "Norwegian", "pa": "Punjabi", "pl": "Polish", "pt": "Portuguese", "ro": "Romanian",
    "ru": "Russian", "sk": "Slovak", "sl": "Slovenian", "sr": "Serbian", "sv": "Swedish",
    "sw": "Swahili", "ta": "Tamil", "te": "Telugu", "th": "Thai", "tl": "Tagalog",
    "tr": "Turkish", "uk": "Ukrainian", "ur": "Urdu", "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip
"""The languages that are told apart. Rarer ones would mostly win by accident, on slang."""

UNSPACED_LANGUAGES = frozenset({"ja", "lo", "my", "th", "yue", "zh"})
"""Written without spaces: recognisers give their characters one by one."""
ENGLISH = "en"
"""What the classifier reads."""
MIN_LETTERS = 20
"""A shorter text in Latin letters says too little about its language."""
MIN_DISTINCT = 8
"""A text of fewer different letters is laughter or a scream."""
REFUSE_BELOW = 0.01
"""A text is refused only where English is less probable than this. Asking for a sure winner
instead would let Swedish pass, because Danish and Norwegian take their share."""
DOUBT_BELOW = 0.05
DOUBT_ABOVE = 0.1
"""A text is doubtful where English is less probable than the first and some other language more
probable than the second: "Danke!" and "Hola amigo" are, "No." and "lol" say nothing."""
_SAMPLE_CHARACTERS = 20_000
_ENGLISH_SHARE = 0.15
_FOREIGN_SCRIPT_SHARE = 0.5
_MIN_FOREIGN_LETTERS = 4

_ENGLISH_WORDS = (
    "about and be because been but could did dont dude from get going good got has have his how "
    "if im it its just know like much never not or our out people really right she should "
    "something thanks that the their them then there these they thing think this those up want "
    "were what when where which who why with would yeah you your"
)
_ENGLISH = frozenset(_ENGLISH_WORDS.split())
"""Words so frequent that a text with a good share of them is English, or English enough. Left
out are those that are frequent in another language too, such as "to", "no", Dutch "is", "of" and
"had", Danish "at" and "her", Romanian "are", Polish "my"."""


@dataclass(frozen=True, slots=True)
class Language:
    """The language of a text; ``sure`` is False where the text is too short to tell."""

    code: str
    probability: float
    sure: bool
    rival: float
    """Probability of the most probable other language."""


def name_of(code: str) -> str:
    """Return the English name of a language, or its code where the name is not known."""
    return NAMES.get(code, code)


def detect(text: str) -> Language:
    """Return the language of a text.

    English is given the benefit of the doubt: texts too short to tell, texts where a good
    share of the words are frequent English ones, and mixtures all count as English, with the
    probability that they are.
    """
    sample = text[:_SAMPLE_CHARACTERS]
    letters = [c for c in sample if c.isalpha()]
    foreign = sum(not _latin(c) for c in letters)
    foreign_script = foreign >= _MIN_FOREIGN_LETTERS and foreign > _FOREIGN_SCRIPT_SHARE * len(
        letters
    )
    too_little = len(letters) < MIN_LETTERS or len({c.lower() for c in letters}) < MIN_DISTINCT
    ranked = {str(code): float(p) for code, p in _identifier().rank(sample.lower())}
    best = next(iter(ranked))
    english = ranked.pop("en")
    rival = max(ranked.values())
    if too_little and not foreign_script:
        return Language("en", english, sure=False, rival=rival)
    surely_not = foreign_script or (english < REFUSE_BELOW and not _reads_english(sample))
    if best == "en" or not surely_not:
        return Language("en", english, sure=best == "en", rival=rival)
    others = (p for code, p in ranked.items() if code != best)
    return Language(best, ranked[best], sure=True, rival=max(english, *others))


def require_english(text: str) -> Language:
    """Return the language of a text; raise LanguageUnsupported if it is surely not English."""
    language = detect(text)
    if language.code != "en":
        raise LanguageUnsupported(
            f"The text is in {name_of(language.code)}; the classifier reads English."
        )
    return language


def suspect(text: str) -> Language | None:
    """Return the language of a text that is, or may be, another than English; else None.

    ``code`` is ``en`` where the text is too short to tell, and looks like something else all
    the same. Most English sentences are recognised by their words alone, which takes a tenth
    of the time.
    """
    sample = text[:_SAMPLE_CHARACTERS]
    if sample.isascii() and _reads_english(sample):
        return None
    language = detect(sample)
    if language.code != "en":
        return language
    doubtful = language.probability < DOUBT_BELOW and language.rival > DOUBT_ABOVE
    return language if doubtful and not _reads_english(sample) else None


def _reads_english(text: str) -> bool:
    words = "".join(c for c in text.lower() if c.isalpha() or c.isspace()).split()
    known = sum(word in _ENGLISH for word in words)
    return bool(words) and known >= _ENGLISH_SHARE * len(words)


def _latin(character: str) -> bool:
    return character.isascii() or unicodedata.name(character, "").startswith(("LATIN", "MODIFIER"))


@lru_cache(maxsize=1)
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(list(NAMES))
    return identifier
