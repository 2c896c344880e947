"""Names that the words around them give away: "my name is …", "… speaking", "s m i t h".

In lower case the model that finds names misses many; nobody who introduces himself shall
depend on it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from ml.text.pii.finders import Finding

_NO_NAMES: Final = (
    "a about actually again all already also always am an and any are as asking at available back "
    "because been before being but by calling can can't changed common confidential coming could "
    "did different difficult do does doing don't down easy everyone everything fine first for "
    "from get getting going gone good great had happy has have having he her here hers his hi "
    "hello how i i'm if important in into is isn't it it's its just known last later like listed "
    "long lost me misspelled missing mine more my never new nice no none not nothing now of off "
    "often ok okay on one only or our out over please pronounced quite really ready right same "
    "she short so sorry something sounds speaking spelled spelling still such taken than thank "
    "thanks that that's the their them then there these they this those to today tomorrow too "
    "under unusual up us very was we well what when where which who whose why will wise with "
    "wrong yeah yes yet you your yours"
)
_TITLES: Final = "mr|mrs|ms|miss|mister|dr|doctor|professor|prof|sir|madam"
_NAME: Final = (
    rf"((?:(?!(?:{'|'.join(sorted(_NO_NAMES.split(), key=len, reverse=True))})\b)"
    rf"(?:(?:[^\W\d_]|{_TITLES})\.|[^\W\d_][\w'-]*)(?: |(?=[^\w ]|$))){{1,3}})"
)
"""One to three words. Behind initials and titles a full stop is part of a name, elsewhere it ends
the sentence."""
_INTRODUCED: Final = re.compile(
    r"\b(?:"
    r"(?:(?:my|his|her|their|your|full|first|last|middle|maiden|family|sur|given|the|whose) ?)?"
    r"name(?:'s| is| was|:)(?: mr| mrs| ms| dr)?(?: uh,?| um,?)?"
    r"|(?:is|was|am|are|'m|'s|were|been|gets?) (?:named|called)"
    r"|(?:son|daughter|brother|sister|wife|husband|friend|boss|neighbor|neighbour|colleague|"
    r"cousin|uncle|aunt|fianc[eé]e?|partner|boy|girl|man|woman|guy) (?:named|called)"
    r"|(?:you(?:'re| are)|i(?:'m| am)|am i) (?:speaking|talking) (?:with|to)"
    r"|(?:may|can|could) i (?:speak|talk) (?:with|to)"
    rf"|(?:{_TITLES})\.?"
    rf") {_NAME}",
    re.IGNORECASE,
)
_SPEAKING: Final = re.compile(
    rf"\b(?:this is|it's|it is) {_NAME}(?=,? ?(?:speaking|calling|here|from|again)\b)",
    re.IGNORECASE,
)
_ADDRESSED: Final = re.compile(
    r"\b(?:(?:spoke|speak|talked?|talking|chat(?:ted)?) (?:to|with)|hi|hello|hey|dear|"
    r"(?:brother|sister|son|daughter|wife|husband|uncle|aunt|auntie|cousin|nephew|niece|grandma|"
    r"grandpa|friend|neighbou?r|colleague|boss|manager|supervisor|nurse|teacher|coach|boyfriend|"
    r"girlfriend|fianc[eé]e?|roommate|agent|lawyer)),? "
    rf"{_NAME}",
    re.IGNORECASE,
)
_SPELLED: Final = re.compile(
    r"\b(?:spelled|spelt|spell(?:s|ing)?(?: it| that| is)?|that's|name(?:'s| is)?),? "
    r"((?:[a-z][ .,-]+){2,}[a-z])(?![\w'])",
    re.IGNORECASE,
)


def introduced_names(text: str, *, cased: bool) -> Iterator[Finding]:
    """Yield names after "my name is", "Doctor" and their like, and names that are spelled.

    ``cased`` says that the recogniser writes names with capitals, so that nothing else is one.
    Otherwise capitals are a guess, which counts where a name is likely but not certain.
    """
    for pattern in (_INTRODUCED, _SPEAKING, _ADDRESSED):
        for match in pattern.finditer(text):
            name = match[1].rstrip()
            if cased or pattern is _ADDRESSED:
                name = _capitals(name)
            if name:
                yield Finding("person_name", match.start(1), match.start(1) + len(name), 0.95)
    for match in _SPELLED.finditer(text):
        yield Finding("person_name", match.start(1), match.end(1), 0.9)


def _capitals(name: str) -> str:
    """Return the leading words of a name that have a capital."""
    leading: list[str] = []
    for word in name.split(" "):
        if not word[:1].isupper():
            break
        leading.append(word)
    return " ".join(leading)
