import itertools
import subprocess
import sys
import time
import tracemalloc

import numpy as np
import pytest

from ml.emotion.classifier import Classifier
from ml.errors import Cancelled, LanguageUnsupported, ModelUnavailable, OptionInvalid, TextEmpty
from ml.taxonomy import BASE_EMOTIONS, BASE_OF, INTENSITIES, SUB_EMOTIONS
from ml.text.features import FEATURE_NAMES, features

UNMISTAKABLE = [
    ("I'm so happy you came, this is the best day ever!", "happiness"),
    ("Thank you so much, I love you all!", "happiness"),
    ("I miss her so much, I can't stop crying.", "sadness"),
    ("I'm sorry, it was all my fault.", "sadness"),
    ("Get out of my house, you lying bastard!", "anger"),
    ("I hate you and I am furious about what you did!", "anger"),
    ("I'm so scared, I think someone is in the house.", "fear"),
    ("Wow, I did not see that coming!", "surprise"),
    ("That's disgusting, it makes me want to throw up.", "disgust"),
    ("The meeting starts at nine on Tuesday.", "neutral"),
]

CONVERSATION = [
    "Did you hear what happened to Tom?",
    "No, what?",
    "He died last night.",
    "Oh no.",
    "The funeral is on Friday.",
    "I will be there.",
    "His wife can't stop crying.",
    "Okay.",
]

ROUNDING = 2e-4
"""What company may change: the small heads compute in fp32, and see sentences in batches."""


@pytest.mark.parametrize(("text", "emotion"), UNMISTAKABLE)
def test_unmistakable_sentences(classifier, text, emotion):
    assert classifier.predict([text])[0].emotion == emotion


@pytest.mark.parametrize(("text", "emotion"), UNMISTAKABLE[:6])
def test_recognisers_that_write_no_case_and_no_points(classifier, text, emotion):
    plain = "".join(c for c in text.lower() if c.isalpha() or c in " '")
    assert classifier.predict([plain])[0].emotion == emotion


def test_predictions_are_consistent(classifier):
    texts = [text for text, _ in UNMISTAKABLE] + CONVERSATION
    for text, found in zip(texts, classifier.predict(texts, in_order=True), strict=True):
        assert found.text == text
        assert tuple(found.emotions) == BASE_EMOTIONS
        assert tuple(found.sub_emotions) == SUB_EMOTIONS
        assert tuple(found.intensities) == INTENSITIES
        assert sum(found.emotions.values()) == pytest.approx(1.0, abs=1e-3)
        assert sum(found.intensities.values()) == pytest.approx(1.0, abs=1e-3)
        assert all(type(p) is float and 0 <= p <= 1 for p in found.sub_emotions.values())
        assert found.confidence == max(found.emotions.values()) == found.emotions[found.emotion]
        assert found.intensity == max(found.intensities, key=found.intensities.__getitem__)
        assert BASE_OF[found.sub_emotion] == found.emotion
        members = [p for sub, p in found.sub_emotions.items() if BASE_OF[sub] == found.emotion]
        assert found.sub_emotions[found.sub_emotion] == max(members)
        strengths = [found.sub_emotions[label] for label in found.labels]
        assert strengths == sorted(strengths, reverse=True)


@pytest.mark.parametrize("kind", [tuple, iter, np.array], ids=["tuple", "iterator", "array"])
def test_texts_come_in_any_iterable(classifier, kind):
    texts = [text for text, _ in UNMISTAKABLE[:3]]
    found = classifier.predict(kind(texts))
    assert found == classifier.predict(texts)
    assert all(type(one.text) is str for one in found)
    assert classifier.predict(kind([])) == []


def test_the_answers_do_not_depend_on_the_company(classifier):
    texts = [text for text, _ in UNMISTAKABLE] + CONVERSATION
    together = classifier.predict(texts)
    backwards = classifier.predict(texts[::-1])[::-1]
    for text, one, two in zip(texts, together, backwards, strict=True):
        alone = classifier.predict([text])[0]
        assert one.emotions == pytest.approx(alone.emotions, abs=ROUNDING)
        assert one.emotions == pytest.approx(two.emotions, abs=ROUNDING)


def test_the_same_call_gives_the_same_answer(classifier):
    assert classifier.predict(CONVERSATION) == classifier.predict(CONVERSATION)


def test_what_repeats_has_one_answer(classifier):
    again = classifier.predict(["Oh no.", "Fine.", "Oh no."])
    assert again[0] == again[2] != again[1]


def test_a_sentence_alone_has_no_context(classifier):
    for text in CONVERSATION:
        assert classifier.predict([text], in_order=True) == classifier.predict([text])


def test_context_matters_and_is_local(classifier):
    alone = classifier.predict(CONVERSATION)
    in_order = classifier.predict(CONVERSATION, in_order=True)
    assert any(a.emotions != b.emotions for a, b in zip(alone, in_order, strict=True))


def test_features_can_be_given_or_switched_off(classifier):
    texts = [text for text, _ in UNMISTAKABLE]
    computed = classifier.predict(texts)
    assert classifier.predict(texts, features=features(texts)) == computed
    off = classifier.predict(texts, use_features=False)
    terms_alone = classifier.predict(texts, features=np.zeros((len(texts), len(FEATURE_NAMES))))
    assert off != terms_alone != computed != off
    right = sum(p.emotion == emotion for p, (_, emotion) in zip(off, UNMISTAKABLE, strict=True))
    assert right >= len(UNMISTAKABLE) - 2


@pytest.mark.parametrize(
    "given",
    [
        np.zeros((1, 3)),
        np.zeros((2, len(FEATURE_NAMES))),
        np.full((1, len(FEATURE_NAMES)), np.nan),
    ],
)
def test_unusable_features_are_refused(classifier, given):
    with pytest.raises(OptionInvalid, match="features"):
        classifier.predict(["Hello."], features=given)


def test_low_confidence_follows_the_threshold(classifier):
    found = classifier.predict(CONVERSATION, confidence_threshold=0.5)
    assert all(p.low_confidence == (p.confidence < 0.5) for p in found)
    assert not any(
        p.low_confidence for p in classifier.predict(CONVERSATION, confidence_threshold=0)
    )


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_threshold_out_of_range_is_refused(classifier, threshold):
    with pytest.raises(OptionInvalid, match="confidence_threshold"):
        classifier.predict(["Hello."], confidence_threshold=threshold)


def test_nothing_in_nothing_out(classifier):
    assert classifier.predict([]) == []
    assert list(classifier.predict_iter([])) == []


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\u00a0"])
def test_empty_texts_are_named_by_index(classifier, text):
    with pytest.raises(TextEmpty, match=r"texts\[1\]"):
        classifier.predict(["Hello.", text])


@pytest.mark.parametrize("text", [None, 3, b"Hello."])
def test_what_is_no_text_is_named_by_index(classifier, text):
    with pytest.raises(OptionInvalid, match=r"texts\[1\]"):
        classifier.predict(["Hello.", text])


def test_one_string_is_not_a_list(classifier):
    with pytest.raises(OptionInvalid, match="list"):
        classifier.predict("Hello.")


@pytest.mark.parametrize(
    "text", ["😀😀😀", "\x00\x07", "\u200b", "\ud800 broken", "你好", "!", "a" * 100_000]
)
def test_odd_characters_are_read(classifier, text):
    assert classifier.predict([text])[0].text == text


def test_long_texts_are_judged_by_their_beginning(classifier):
    start = "I am so happy! " * 40
    longer = start + "I hate this. " * 40
    first, second = classifier.predict([start, longer], use_features=False)
    assert first.sub_emotions == pytest.approx(second.sub_emotions, abs=ROUNDING)


@pytest.mark.parametrize("text", ["I am happy. " * 33_000, "a" * 500_000, "😀" * 100_000])
def test_a_hundred_thousand_words_take_no_longer_than_a_few(classifier, text):
    classifier.predict(["Merci."], other_languages="mark")  # loads what is loaded once
    tracemalloc.start()
    started = time.perf_counter()
    (found,) = classifier.predict([text], other_languages="refuse")
    assert time.perf_counter() - started < 1
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()
    assert found.text == text


SPANISH = "No puedo creer que hayas hecho eso conmigo."


def test_another_language_is_refused_by_index(classifier):
    texts = ["Hello, how are you?", SPANISH]
    with pytest.raises(LanguageUnsupported, match=r"texts\[1\] is in Spanish"):
        classifier.predict(texts, other_languages="refuse")
    with pytest.raises(LanguageUnsupported, match=r"texts\[1\] is in Spanish"):
        list(classifier.predict_iter(texts, other_languages="refuse"))


def test_another_language_can_be_marked(classifier):
    texts = [SPANISH, "Danke!", "I am so happy that you came!"]
    looked = classifier.predict(texts, other_languages="mark", confidence_threshold=0)
    assert [each.low_confidence for each in looked] == [True, True, False]
    assert list(classifier.predict_iter(texts, other_languages="mark")) == classifier.predict(
        texts, other_languages="mark"
    )
    taken = classifier.predict(texts, other_languages="ignore", confidence_threshold=0)
    assert not any(each.low_confidence for each in taken)
    assert [each.emotions for each in taken] == [each.emotions for each in looked]


def test_what_is_short_is_marked_but_not_refused(classifier):
    (found,) = classifier.predict(["Danke!"], other_languages="refuse", confidence_threshold=0)
    assert found.low_confidence


def test_should_stop_ends_the_call(classifier):
    calls = []

    def stop():
        calls.append(1)
        if len(calls) == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        classifier.predict([f"Number {i}." for i in range(1_000)], should_stop=stop)
    assert len(calls) == 2


@pytest.mark.parametrize("in_order", [False, True])
def test_predict_iter_agrees_with_predict(classifier, in_order):
    texts = [CONVERSATION[i % 8] for i in range(300)]
    whole = classifier.predict(texts, in_order=in_order)
    streamed = list(classifier.predict_iter(iter(texts), in_order=in_order))
    assert [p.text for p in streamed] == texts
    for one, two in zip(whole, streamed, strict=True):
        assert one.emotions == pytest.approx(two.emotions, abs=ROUNDING)


def test_predict_iter_reads_no_further_than_it_must(classifier):
    taken = []

    def endless():
        while True:
            taken.append(1)
            yield "And so on."

    stream = classifier.predict_iter(endless())
    for _ in range(10):
        next(stream)
    assert len(taken) <= 1_024


def test_any_number_of_texts_takes_the_same_memory(classifier):
    def peak(count):
        texts = itertools.islice(itertools.cycle(CONVERSATION), count)
        tracemalloc.start()
        assert sum(1 for _ in classifier.predict_iter(texts)) == count
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(600)
    assert peak(4_000) < 1.3 * peak(1_000)


def test_the_feature_engine_stops_with_the_encoder(classifier, monkeypatch):
    read, weighed = [], []

    def slow(texts):
        read.extend(texts)
        time.sleep(0.05)
        return features(texts)

    class Terms:
        def transform(self, texts, width):
            weighed.extend(texts)
            return np.zeros((len(texts), width)), np.zeros((len(texts), width))

    def stop():
        raise Cancelled

    monkeypatch.setattr("ml.emotion.classifier.features_of", slow)
    monkeypatch.setattr(classifier, "_terms", Terms())
    with pytest.raises(Cancelled):
        classifier.predict([f"Number {i}." for i in range(10_000)], should_stop=stop)
    time.sleep(0.3)
    assert len(weighed) <= len(read) < 2_000


def test_an_error_of_the_feature_engine_is_not_lost(classifier, monkeypatch):
    def fail(texts):
        raise ModelUnavailable("no tagger")

    monkeypatch.setattr("ml.emotion.classifier.features_of", fail)
    with pytest.raises(ModelUnavailable, match="no tagger"):
        classifier.predict(["Hello."])


def test_predict_iter_names_the_index_in_the_whole_stream(classifier):
    texts = [*["Fine."] * 400, ""]
    with pytest.raises(TextEmpty, match=r"texts\[400\]"):
        list(classifier.predict_iter(texts))


def test_threads_may_be_chosen():
    assert Classifier(threads=1).predict(["I am so happy!"])[0].emotion == "happiness"
    with pytest.raises(OptionInvalid, match="threads"):
        Classifier(threads=-1)


def test_an_unknown_checkpoint_is_an_error(tmp_path):
    with pytest.raises(ModelUnavailable):
        Classifier(tmp_path)


def test_one_sentence_is_fast(classifier):
    times = []
    for _ in range(5):
        start = time.perf_counter()
        classifier.predict(["I never thought I would see you again."])
        times.append(time.perf_counter() - start)
    assert min(times) < 0.2


def test_running_imports_neither_torch_nor_transformers():
    code = (
        "import sys; from ml.emotion.classifier import Classifier; Classifier().predict(['Hi.']);"
        "print([m for m in ('torch', 'transformers', 'ml.training') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
