import json
import time

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from ml.errors import ModelUnavailable
from ml.text.terms import TermWeights

TEXTS = [
    "I love the dog, the big dog.",
    "I don't love the cat",
    "I DON\u2019T know; do you know the dog?",
    "what a day, what a lovely day",
    "the big cat and the big dog",
    "",
    "42 \U0001f600 !!!",
]
PATTERN = r"[^\W\d_]+(?:'[^\W\d_]+)?"


def sklearn_weights(vectorizer, texts):
    return vectorizer.transform([text.replace("\u2019", "'") for text in texts]).toarray()


def dense(terms, texts, width):
    ids, weights = terms.transform(texts, width)
    found = np.zeros((len(texts), len(terms.terms) + 1))
    found[np.arange(len(texts))[:, None], ids] = weights
    return found[:, 1:]


def vectorizer(**options):
    return TfidfVectorizer(
        token_pattern=PATTERN, ngram_range=(1, 2), sublinear_tf=True, **options
    ).fit([text.replace("\u2019", "'") for text in TEXTS])


@pytest.mark.parametrize("min_count", [1, 2, 3])
def test_the_weights_are_those_of_scikit_learn(min_count):
    terms = TermWeights.fit(TEXTS, min_count=min_count)
    theirs = vectorizer(min_df=min_count)
    assert set(terms.terms) == set(theirs.vocabulary_)
    columns = [theirs.vocabulary_[term] for term in terms.terms]
    new = [*TEXTS, "the dog and I love the the the day", "unseen words alone"]
    assert np.allclose(dense(terms, new, 64), sklearn_weights(theirs, new)[:, columns], atol=1e-6)
    assert np.allclose(terms.idf, theirs.idf_[columns])


def test_the_terms_of_most_texts_are_kept():
    terms = TermWeights.fit(TEXTS, size=4, min_count=1)
    assert terms.terms == ("the", "dog", "i", "big")
    assert len(TermWeights.fit(TEXTS, size=4_096, min_count=100).terms) == 0


def test_shapes_types_and_padding():
    terms = TermWeights.fit(TEXTS, min_count=1)
    ids, weights = terms.transform(TEXTS, width=5)
    assert ids.shape == weights.shape == (len(TEXTS), 5)
    assert (ids.dtype, weights.dtype) == (np.int64, np.float32)
    assert ids.min() == 0
    assert ids.max() <= len(terms.terms)
    assert ((ids == 0) == (weights == 0)).all()
    assert not ids[-2:].any()
    assert terms.transform([], width=3)[0].shape == (0, 3)


def test_the_heaviest_terms_come_first_and_stay_as_they_are():
    terms = TermWeights.fit(TEXTS, min_count=1)
    ids, weights = terms.transform(TEXTS, width=32)
    few_ids, few_weights = terms.transform(TEXTS, width=3)
    assert (np.diff(weights, axis=1) <= 0).all()
    assert (few_ids == ids[:, :3]).all()
    assert (few_weights == weights[:, :3]).all()


def test_without_a_vocabulary_there_is_padding_alone():
    ids, weights = TermWeights((), ()).transform(["the dog"])
    assert not ids.any()
    assert not weights.any()


def test_json_there_and_back():
    terms = TermWeights.fit([*TEXTS, "caf\u00e9"], min_count=1)
    assert TermWeights.from_json(terms.to_json()) == terms
    assert TermWeights.from_json(terms.to_json().encode()) == terms
    assert TermWeights.from_json(TermWeights((), ()).to_json()) == TermWeights((), ())


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "no JSON"),
        (b"\xff\xfe\xff", "no JSON"),
        ('{"a": 1.5', "no JSON"),
        ('["a"]', "no object"),
        ('{"a": "1.5"}', "'a' no usable weight"),
        ('{"a": 1.5, "b": null}', "'b' no usable weight"),
        ('{"a": NaN}', "'a' no usable weight"),
        ('{"a": Infinity}', "'a' no usable weight"),
        ('{"a": -2.0}', "'a' no usable weight"),
        ('{"": 2.0}', "'' no usable weight"),
    ],
)
def test_damaged_json_is_refused(content, complaint):
    with pytest.raises(ModelUnavailable) as raised:
        TermWeights.from_json(content)
    assert complaint in raised.value.text


def test_the_file_is_plain_weights_by_term():
    terms = TermWeights.fit(["the dog", "the cat"], min_count=2)
    assert json.loads(terms.to_json()) == {"the": 1.0}


@pytest.mark.parametrize("text", ["\ud800", "x" * 1_000_000, "dog " * 100_000])
def test_any_string_will_do(text):
    terms = TermWeights.fit(TEXTS, min_count=1)
    start = time.perf_counter()
    _, weights = terms.transform([text])
    assert time.perf_counter() - start < 2
    assert np.isfinite(weights).all()
