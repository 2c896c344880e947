"""What gives personal data away in a written form of speech, by patterns and the words around.

Each finder takes a text as ``ml.text.pii.writing`` writes it and yields what it is sure of.
They add to presidio's own recognisers what those cannot know: that digits are told apart by
what somebody says before them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from ml.options import PiiPolicy
from ml.text.pii.spoken_numbers import word_set
from ml.text.pii.writing import MIN_IDENTIFIER_DIGITS


class Finding(NamedTuple):
    """A stretch of characters that a policy covers."""

    policy: PiiPolicy
    start: int
    end: int
    score: float


_IDENTIFIER: Final = re.compile(
    r"(?<![\w.,/:$£€#-])(?:\+?\d[\d-]{2,}\d|\d{3}\.\d{3}\.\d{4})(?![\w/:%]|[.,]\d)"
)
_NOT_ONE: Final = re.compile(r"(?:19|20)\d\d(?:-\d\d-\d\d|-(?:19|20)?\d\d)?")
_SEPARATOR: Final = re.compile(r"[-.]")
_WORD: Final = re.compile(r"[\w'+-]+")
_REACH_CHARACTERS: Final = 90
REACH_WORDS: Final = 12
"""So far before a number a word may say what it is."""
_REACH_AFTER: Final = 5

CUES: Final[dict[str, str]] = {
    word: kind
    for kind, words in {
        "social": "social ssn socials",
        "card": "card cards visa mastercard amex credit debit discover",
        "account": "account accounts acct routing iban checking savings sort swift",
        "phone": (
            "phone telephone cell cellphone mobile call called calling calls reach dial text fax "
            "landline ring whatsapp contact callback hotline voicemail tel phones phoned texted"
        ),
        "birth": "birth born birthday birthdate dob",
        "other": (
            "order tracking serial confirmation invoice ticket flight isbn reference case model "
            "part booking sku product item policy passport license population version score "
            "barcode zip postcode lottery code edition chapter page channel patent id"
        ),
    }.items()
    for word in words.split()
}
"""What a number is that has one of these words near it."""
UNITS: Final = word_set(
    "dollars dollar euros euro pounds cents percent people miles kilometers kilometres meters "
    "metres years days hours minutes seconds times users votes copies views units points steps "
    "feet tons kilos watts calories bucks rupees yen degrees followers subscribers"
)
"""A number before one of these is an amount."""
_SOCIAL_DIGITS: Final = range(8, 11)
"""Nine, but "seventy five" may be one of two numbers, and recognisers lose or double a digit."""
_LAST_DIGITS: Final = 4
_LOCAL_DIGITS: Final = 7
_PARTIAL: Final = re.compile(r"\b(?:last (?:four|4)|ending in|ends (?:in|with))\b", re.IGNORECASE)


def identifiers(text: str) -> Iterator[Finding]:
    """Yield telephone, social security, card and account numbers, and births in digits.

    The nearest word before that goes with so many digits decides, else the nearest after.
    Without one, ten digits make a telephone number, and so do seven in groups; 13 to 19 digits
    with a valid check digit make a card number (ISO/IEC 7812-1, annex B).
    """
    for match in _IDENTIFIER.finditer(text):
        said = match[0]
        following = _words(text[match.end() : match.end() + _REACH_CHARACTERS])
        if _NOT_ONE.fullmatch(said) or (following and following[0] in UNITS):
            continue
        before = text[max(0, match.start() - _REACH_CHARACTERS) : match.start()]
        preceding = _words(before)[::-1][:REACH_WORDS]
        digits = _SEPARATOR.sub("", said)
        around = [*preceding, *following[:_REACH_AFTER]]
        policy = _by_cue(around, digits, partial=bool(_PARTIAL.search(before)))
        policy = policy or _by_form(said, digits, is_number="number" in preceding[:3])
        if policy and policy != "none":
            yield Finding(policy, match.start(), match.end(), 0.9)  # type: ignore[arg-type]


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def _by_cue(around: Sequence[str], digits: str, *, partial: bool) -> str | None:
    for word in around:
        kind = CUES.get(word)
        policy = _fitting(kind, len(digits), partial=partial) if kind else None
        if policy:
            return policy
    return None


def _fitting(kind: str, count: int, *, partial: bool) -> str | None:
    """Return what so many digits after such a word are; None where they do not go together."""
    partial = partial and count == _LAST_DIGITS
    if kind == "social":
        return "us_social_security_number" if count in _SOCIAL_DIGITS or partial else None
    if kind == "card":
        return "credit_card_number" if count >= 12 or partial else None
    if kind == "account":
        return "account_number" if count >= 6 or partial else None
    if kind == "phone":
        return "phone_number" if count >= MIN_IDENTIFIER_DIGITS or partial else None
    if kind == "birth":
        return "date_of_birth" if 5 <= count <= 8 else None
    return "none"


def _by_form(said: str, digits: str, *, is_number: bool) -> str | None:
    """Judge digits without a telling word around them; ``is_number`` after "my number is"."""
    count = len(digits.lstrip("+"))
    if digits.startswith("+") and count >= MIN_IDENTIFIER_DIGITS:
        return "phone_number"
    if 13 <= count <= 19 and has_check_digit(digits):
        return "credit_card_number"
    if count == 10 or (count == 11 and digits[0] in "01"):
        return "phone_number"
    local = is_number and count == _LOCAL_DIGITS
    return "phone_number" if local or re.fullmatch(r"\d{3}-\d{4}", said) else None


def has_check_digit(digits: str) -> bool:
    """Whether the last digit is the check digit of the others, by Luhn's formula."""
    doubled = [int(digit) for digit in digits[-2::-2]]
    return (sum(map(int, digits[-1::-2])) + sum(sum(divmod(2 * d, 10)) for d in doubled)) % 10 == 0


_MONTH: Final = (
    r"(?:january|february|march|april|may|june|july|august|september|october|november|december|"
    r"jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\.?"
)
_ORDINAL: Final = (
    r"(?:(?:twenty|thirty)[ -])?(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth)|"
    r"tenth|eleventh|twelfth|(?:thir|four|fif|six|seven|eigh|nine)teenth|twentieth|thirtieth"
)
_DAY: Final = rf"(?:the )?(?:\d{{1,2}}(?:st|nd|rd|th)?|{_ORDINAL})"
_YEAR: Final = r"(?:,? (?:of |in )?(?:(?:19|20)\d\d|'?\d\d)\b)?"
_DATE: Final = re.compile(
    rf"\b(?:{_DAY}(?: of)? {_MONTH},?{_YEAR}|{_MONTH} {_DAY},?{_YEAR}|{_MONTH},?(?: of)? "
    r"(?:19|20)\d\d"
    r"|\d{1,2}[/.-]\d{1,2}[/.-]\d{2,4}|(?:19|20)\d\d-\d\d-\d\d|(?:19|20)\d\d)\b",
    re.IGNORECASE,
)
_BIRTH: Final = re.compile(
    r"\b(?:born|birth ?date|birthday|birth|dob|d\.o\.b\.?|d o b)\b", re.IGNORECASE
)
_BIRTH_REACH: Final = 60


def birth_dates(text: str) -> Iterator[Finding]:
    """Yield dates that follow closely on words such as "born" and "birthday", or precede them."""
    for cue in _BIRTH.finditer(text):
        date = _DATE.search(text, cue.end(), cue.end() + _BIRTH_REACH)
        before = list(_DATE.finditer(text, max(0, cue.start() - _BIRTH_REACH), cue.start()))
        if date is None and before and re.search(r"\b(?:is|was) (?:\w+'?s? )?$",
                                                 text[before[-1].end() : cue.start()]):  # fmt: skip
            date = before[-1]
        if date:
            yield Finding("date_of_birth", date.start(), date.end(), 0.9)


_STREETS: Final = (
    "street|avenue|ave|road|lane|drive|boulevard|blvd|court|place|terrace|crescent|parkway|"
    "highway|way|square|close|circle|alley|row|gardens|trail"
)
_NO_STREET_NAME: Final = (
    r"(?!(?:the|a|an|of|down|up|my|our|your|his|her|their|this|that|in|on|at|to|from|for|and|or|"
    r"is|was|are|were|by|with|minutes?|miles?|people|hours?|blocks?|cars?|times?|years?|days?|"
    r"houses?|kilomet(?:er|re)s|dollars|percent|feet|weeks?|more|it|we|i|you|they|has|have|had|"
    r"into|along|across|one|out|off|all|per|go|going|went|took|times)\b)"
)
_ADDRESS: Final = re.compile(
    rf"(?<![\w.,:$£€/-])\d{{1,5}}[a-z]?(?: {_NO_STREET_NAME}[\w'.-]+){{1,3}}? (?:{_STREETS})\b"
    r"(?:,? (?:apartment|apt|unit|suite|flat|number) (?:\d+\w?|\w)\b)?"
    r"(?:,? (?-i:[A-Z][a-z]+\b)){0,2}",
    re.IGNORECASE,
)
_POSTCODE: Final = re.compile(
    r"\b(?:zip(?: code)?|postal code|post ?code)(?:'s| is| of|:)?(?: is)? "
    r"(\d{5}(?:-\d{4})?|[a-z]{1,2}\d{1,2}[a-z]? ?\d[a-z]{2})\b",
    re.IGNORECASE,
)


def addresses(text: str) -> Iterator[Finding]:
    """Yield streets with a house number, and post codes that are named as such."""
    for match in _ADDRESS.finditer(text):
        yield Finding("location", match.start(), match.end(), 0.9)
    for match in _POSTCODE.finditer(text):
        yield Finding("location", match.start(1), match.end(1), 0.9)
