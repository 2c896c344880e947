"""TF-IDF: the words and pairs of words that stand out in a text.

The weights are those of scikit-learn's ``TfidfVectorizer(ngram_range=(1, 2),
sublinear_tf=True)``: a term that occurs ``t`` times in a text weighs ``(1 + ln t) * idf``, its
idf is ``ln((1 + texts) / (1 + texts with it)) + 1``, and a text's weights have Euclidean
length 1. The vocabulary is learned from training data and belongs to a checkpoint.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from heapq import nlargest
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ml.errors import ModelUnavailable
from ml.text.words import opening, words_of


@dataclass(frozen=True)
class TermWeights:
    """A vocabulary of words and pairs of words, and how much each of them says."""

    terms: tuple[str, ...]
    """In lower case, a pair with a space between. The id of a term is its place plus 1."""

    idf: tuple[float, ...]
    """The inverse document frequency of each term."""

    @classmethod
    def fit(cls, texts: Iterable[str], size: int = 4_096, min_count: int = 5) -> TermWeights:
        """Learn the ``size`` terms that the most texts hold, of those in ``min_count`` or more.

        Of terms in equally many texts the alphabetically first come first, so the same texts
        always give the same vocabulary.
        """
        counts: Counter[str] = Counter()
        total = 0
        for text in texts:
            counts.update(set(_terms(text)))
            total += 1
        known = sorted(
            (-count, term) for term, count in counts.items() if count >= max(1, min_count)
        )[:size]
        return cls(
            tuple(term for _, term in known),
            tuple(math.log((1 + total) / (1 - count)) + 1 for count, _ in known),
        )

    def transform(
        self, texts: Sequence[str], width: int = 32
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the ids and the weights of each text's ``width`` heaviest terms.

        Both are ``(len(texts), width)``, the heaviest term first; id 0 with weight 0 fills up.
        Weights are in 0..1 and the text's length is 1 before lighter terms are dropped. Of a
        long text the first :data:`~ml.text.words.MAX_WORDS` words are read.
        """
        ids = np.zeros((len(texts), width), np.int64)
        weights = np.zeros((len(texts), width), np.float32)
        for row, text in enumerate(texts):
            for place, (weight, term) in enumerate(self._heaviest(text, width)):
                ids[row, place], weights[row, place] = term, weight
        return ids, weights

    def to_json(self) -> str:
        """Return what :meth:`from_json` reads."""
        return json.dumps(dict(zip(self.terms, self.idf, strict=True)), ensure_ascii=False)

    @classmethod
    def from_json(cls, content: str | bytes) -> TermWeights:
        """Read a vocabulary; raise :class:`~ml.errors.ModelUnavailable` if it is damaged."""
        try:
            found = json.loads(content)
        except ValueError:
            raise ModelUnavailable("The checkpoint's terms are no JSON.") from None
        if not isinstance(found, dict):
            raise ModelUnavailable("The checkpoint's terms are no object of weights by term.")
        for term, idf in found.items():
            if not term or not isinstance(idf, float) or not 1 <= idf < math.inf:
                raise ModelUnavailable(f"The checkpoint's terms give {term!r} no usable weight.")
        return cls(tuple(found), tuple(found.values()))

    def _heaviest(self, text: str, width: int) -> list[tuple[float, int]]:
        """Return weight and id of the heaviest terms; of equal weights the lower id first."""
        counts = Counter(known for term in _terms(text) if (known := self._ids.get(term)))
        weights = {term: (1 + math.log(n)) * self.idf[term - 1] for term, n in counts.items()}
        length = math.sqrt(sum(weight * weight for weight in weights.values()))
        heaviest = nlargest(width, ((weight, -term) for term, weight in weights.items()))
        return [(weight / length, -term) for weight, term in heaviest]

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {term: place for place, term in enumerate(self.terms, 1)}


def _terms(text: str) -> list[str]:
    words = words_of(opening(text).lower())
    return words + list(map(" ".join, pairwise(words)))
