from dataclasses import replace

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from ml.emotion.checkpoint import Checkpoint
from ml.emotion.tokens import TextTokenizer
from ml.errors import ModelUnavailable


def bare() -> str:
    """A tokenizer that adds nothing, and knows two words."""
    made = Tokenizer(models.WordLevel({"<pad>": 0, "so": 1, "glad": 2}))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return made.to_str()


def test_texts_that_are_alike_are_tokenised_once():
    found = TextTokenizer(Checkpoint.load())(["So glad!", "no", "so GLAD!"])
    assert len(found.distinct) == 2
    assert found.which == [0, 1, 0]


def test_a_text_without_a_token_gets_one():
    tokenizer = TextTokenizer(replace(Checkpoint.load(), tokenizer=bare()))
    assert tokenizer(["so glad", ""]).distinct == [(1, 2), (0,)]


def test_a_tokenizer_that_cannot_be_read_is_named():
    with pytest.raises(ModelUnavailable, match=r"tokenizer\.json"):
        TextTokenizer(replace(Checkpoint.load(), tokenizer="{"))
