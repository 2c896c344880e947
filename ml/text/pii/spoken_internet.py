"""E-mail, web and network addresses as people say them: "j smith at gmail dot com".

Only the words that make an address can be told from the others, never where its first part
begins: "write to john smith at gmail dot com" may be one word or two before the "at". Here the
part reaches back as far as a word that introduces an address, or is a single word.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from ml.text.pii.spoken_numbers import number_at, word_at, word_set

_JOINERS: Final = {"dot": ".", "period": ".", "point": ".", "underscore": "_", "dash": "-",
                   "hyphen": "-", "minus": "-", "plus": "+"}  # fmt: skip
_DOTS: Final = word_set("dot period point")
_ENDINGS: Final = word_set(
    "com org net edu gov mil io co uk us ca au de fr eu es it nl ch ie nz za br jp info biz dev "
    "app ai tv me fm ly online shop store tech"
)
"""Last parts of a domain that occur in speech; the public list has thousands of plain words."""
_SAFE_ENDINGS: Final = _ENDINGS - word_set("us it me ie online shop store tech")
_INTRODUCING: Final = word_set(
    "is it's its to at email e-mail mail address me him her us them contact that's use try visit "
    "from on via was"
)
_CUES: Final = word_set(
    "email e-mail mail emails mails emailed mailed write wrote reach contact send sent sending "
    "forward forwarded cc inbox invite"
)
_PROVIDERS: Final = word_set(
    "gmail yahoo hotmail outlook icloud aol proton protonmail googlemail gmx msn live fastmail "
    "zoho yandex mail me"
)
_NO_LOCAL_PART: Final = word_set(
    "me us it look looking find found him her them work works working worked visit online more "
    "information available website site check shop page is are was and or be here there read live "
    "right now start started join go going"
)
_PLAIN_WORDS: Final = word_set("the a an this that of and or is my your his her our their")
_MAX_LOCAL_WORDS: Final = 3
_MAX_PARTS: Final = 12
_CUE_REACH: Final = 12
_LABEL: Final = re.compile(r"[\w-]+(?:\.[\w-]+)*")
_DOMAIN: Final = re.compile(r"(?:[\w-]+\.)+[a-z]{2,}")
_OCTETS: Final = 4


class Address(NamedTuple):
    """An address as it is written, and the words from ``start`` to before ``end``."""

    text: str
    start: int
    end: int


def address_at(words: Sequence[str], bare: Sequence[str], position: int) -> Address | None:
    """Return the address whose "at", first "dot" stands at ``position``, or None.

    ``bare`` are the ``words`` in lower case without the punctuation around them.
    """
    word = bare[position]
    if word in ("at", "@"):
        return _email(words, bare, position)
    if word in _DOTS:
        return _network(bare, position) or _web(words, bare, position)
    return None


def _email(words: Sequence[str], bare: Sequence[str], position: int) -> Address | None:
    end, domain = _domain(words, bare, position + 1)
    if not domain or position == 0:
        return None
    start, local = _local_part(words, bare, position)
    if not local or local in _NO_LOCAL_PART:
        return None
    before = bare[max(0, start - _CUE_REACH) : start]
    plain = local.isalpha() and domain.split(".")[0] not in _PROVIDERS and bare[position] != "@"
    if plain and before[-1:] != ["at"] and not _CUES.intersection(before):
        return None
    return Address(f"{local}@{domain}", start, end)


def _domain(words: Sequence[str], bare: Sequence[str], start: int) -> tuple[int, str]:
    """Read a domain forwards: its end, and what it is, or nothing."""
    if _DOMAIN.fullmatch(word_at(bare, start)) and not _ends_sentence(words, start, "dot"):
        return start + 1, bare[start]
    text, position, best = "", start, (start, "")
    for _ in range(_MAX_PARTS):
        part, after = _part(bare, position)
        if not part:
            break
        text += part
        position = after
        if "." in text and text.rpartition(".")[2] in _ENDINGS:
            best = (position, text)
        joiner = _JOINERS.get(word_at(bare, position), "")
        if joiner in ("", "+") or _ends_sentence(words, position - 1, joiner):
            break
        text += joiner
        position += 1
    return best


def _ends_sentence(words: Sequence[str], position: int, joiner: str) -> bool:
    """Whether a full stop behind a word says that the address is over."""
    return bool(joiner) and words[position][-1:] in ".?!" and not words[position].isalpha()


def _part(bare: Sequence[str], start: int) -> tuple[str, int]:
    """Read a word, or letters and digits that were spelled: "j", "k", "nineteen eighty"."""
    text, position = "", start
    while position < len(bare) and position - start < _MAX_PARTS:
        spelled, end = _spelled(bare, position)
        if not spelled:
            break
        text, position = text + spelled, end
    word = word_at(bare, position)
    if not text and _LABEL.fullmatch(word) and word not in _JOINERS:
        return word, position + 1
    return text, position


def _spelled(bare: Sequence[str], position: int) -> tuple[str, int]:
    """Read one letter, or one number."""
    number = number_at(bare, position)
    if number and not number.amount:
        return number.digits, number.end
    word = bare[position]
    if len(word) == 1 and word.isalpha():
        return word, position + 1
    return "", position


def _local_part(words: Sequence[str], bare: Sequence[str], at: int) -> tuple[int, str]:
    """Read what stands before an "at", backwards: where it starts, and what it is."""
    start, joined, named = at, False, False
    for _ in range(_MAX_PARTS):
        word = bare[start - 1] if start else ""
        if not word or (start < at and words[start - 1][-1:] in ".?!,;" and not joined):
            break
        spelled = _is_spelled(bare, start - 1)
        if not (joined or spelled or word in _JOINERS) and named:
            break
        if start < at and word in _INTRODUCING and not joined:
            break
        named = named or not (spelled or word in _JOINERS)
        joined = word in _JOINERS
        start -= 1
    start = _reaching_back(words, bare, start, at)
    return start, _joined(bare[start:at]).strip("._-+")


def _joined(said: Sequence[str]) -> str:
    text, position = "", 0
    while position < len(said):
        number = number_at(said, position)
        text += number.digits if number else _JOINERS.get(said[position], said[position])
        position = number.end if number else position + 1
    return text


def _is_spelled(bare: Sequence[str], position: int) -> bool:
    word = bare[position]
    return (len(word) == 1 and word not in ("a", "i")) or number_at([word], 0) is not None


def _reaching_back(words: Sequence[str], bare: Sequence[str], start: int, at: int) -> int:
    """Take in up to three words before, if a word stands there that introduces an address."""
    for back in range(1, _MAX_LOCAL_WORDS + 1):
        position = start - back
        if position < 0:
            break
        if bare[position] in _INTRODUCING:
            return position + 1
        if bare[position] in _PLAIN_WORDS or words[position][-1:] in ".?!,;:":
            return start
    return start


def _web(words: Sequence[str], bare: Sequence[str], dot: int) -> Address | None:
    """Read "www dot example dot com slash help" around its first "dot"."""
    start = dot - 1
    while start > 0 and _is_spelled(bare, start) and _is_spelled(bare, start - 1):
        start -= 1
    if start < 0 or bare[start] in _PLAIN_WORDS or words[dot - 1][-1:] in ".?!,":
        return None
    while start >= 2 and bare[start - 1] in ("dash", "hyphen"):
        start -= 2
    end, domain = _domain(words, bare, start)
    ending = domain.rpartition(".")[2]
    if not domain or (ending not in _SAFE_ENDINGS and not domain.startswith("www")):
        return None
    while word_at(bare, end) == "slash" and word_at(bare, end + 1):
        domain, end = f"{domain}/{bare[end + 1]}", end + 2
    return Address(domain, start, end)


def _network(bare: Sequence[str], dot: int) -> Address | None:
    """Read "one ninety two dot one six eight dot one dot one" around its first "dot"."""
    for start in range(max(0, dot - 4), dot):
        octet, end = _octet(bare, start)
        if end == dot:
            break
    else:
        return None
    octets = [octet]
    while len(octets) < _OCTETS and word_at(bare, end) in _DOTS:
        octet, end = _octet(bare, end + 1)
        octets.append(octet)
    text = ".".join(octets)
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return None
    return Address(text, start, end)


def _octet(bare: Sequence[str], start: int) -> tuple[str, int]:
    digits, end = "", start
    while end < len(bare) and (number := number_at(bare, end)):
        if number.amount or not number.digits.isdecimal() or int(digits + number.digits) > 255:
            break
        digits, end = digits + number.digits, number.end
    return digits, end
