import time

import numpy as np
import pytest

from ml.text.features import FEATURE_NAMES, FEATURES_VERSION, features


def named(text):
    return dict(zip(FEATURE_NAMES, features([text])[0].tolist(), strict=True))


def test_shape_type_and_names():
    vectors = features(["Hello.", "Bye."])
    assert vectors.shape == (2, len(FEATURE_NAMES))
    assert vectors.dtype == np.float32
    assert len(set(FEATURE_NAMES)) == len(FEATURE_NAMES)
    assert FEATURES_VERSION == "1.0"
    assert features([]).shape == (0, len(FEATURE_NAMES))


@pytest.mark.parametrize(
    ("text", "feature", "value"),
    [
        ("Why?", "question_mark", 1 / 2),
        ("Why???", "question_mark", 3 / 4),
        ("why would you do that", "question_word", 1 / 2),
        ("Stop! Now!", "exclamation", 2 / 3),
        ("I thought...", "trailing_off", 1 / 2),
        ("I thought\u2026", "trailing_off", 1 / 2),
        ("I thought -", "trailing_off", 1 / 2),
        ("a well-known man", "trailing_off", 0),
        ("no no no no", "repetition", 3 / 4),
        ("No no", "repetition", 1 / 2),
        ("that is soooo good", "elongation", 1 / 2),
        ("I am VERY happy", "shouting", 1 / 3),
        ("MY FAULT", "shouting", 1),
        ("ALL OF IT IN CAPITALS", "shouting", 0),
        ("nice \U0001f600\U0001f600", "emoji", 2 / 3),
        ("I don't know", "negation", 1 / 2),
        ("I don\u2019t know", "negation", 1 / 2),
        ("It is not nothing", "negation", 2 / 3),
        ("so very good", "intensifier", 2 / 3),
        ("maybe", "hedge", 1 / 2),
        ("I'm here with my dog", "first_person", 2 / 3),
        ("you and YOUR dog", "second_person", 2 / 3),
        ("she told him", "third_person", 2 / 3),
        ("but why", "contrast", 1 / 2),
        ("it was good", "past_tense", 1 / 2),
        ("we will see", "future_tense", 1 / 2),
        ("Thank you, sorry", "courtesy", 2 / 3),
        ("oh wow", "interjection", 2 / 3),
        ("haha right", "laughter", 1 / 2),
        ("damn it", "profanity", 1 / 2),
        (" ".join(["word"] * 64), "length", 1),
        (" ".join(["word"] * 500), "length", 1),
    ],
)
def test_each_feature_says_what_it_is_named_for(text, feature, value):
    assert named(text)[feature] == pytest.approx(value)


def test_a_word_may_count_twice():
    found = named("fucking")
    assert found["profanity"] == found["intensifier"] == pytest.approx(1 / 2)


def test_longer_is_more():
    lengths = [named(" ".join(["word"] * n))["length"] for n in (1, 5, 20, 60)]
    assert lengths == sorted(lengths)
    assert lengths[0] < lengths[-1]


@pytest.mark.parametrize(
    "text", ["", " ", "\x00\x07\u200b", "12 34", "\ud800", "你好", "?" * 10_000]
)
def test_any_string_has_finite_features_within_bounds(text):
    vector = features([text])[0]
    assert np.isfinite(vector).all()
    assert ((vector >= 0) & (vector <= 1)).all()


def test_the_empty_text_is_zero():
    assert not features([""]).any()


def test_case_matters_to_shouting_alone():
    upper, lower = named("I REALLY love you"), named("i really love you")
    assert {name for name in FEATURE_NAMES if upper[name] != lower[name]} == {"shouting"}


def test_it_is_fast():
    start = time.perf_counter()
    features(["Oh I really don't know what you want from me, but thanks!"] * 2_000)
    assert time.perf_counter() - start < 2
