"""Texts to token ids, with the checkpoint's tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tokenizers import Tokenizer

from ml.emotion.checkpoint import TOKENIZER, Checkpoint
from ml.errors import ModelUnavailable


class Tokenised(NamedTuple):
    """The token ids of texts, without repetition."""

    distinct: list[tuple[int, ...]]
    """The ids of each different text."""
    which: list[int]
    """For each text its place in ``distinct``."""


class TextTokenizer:
    """The tokenizer of one checkpoint. Safe to share between threads."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Read ``tokenizer.json``; texts are cut to the checkpoint's ``max_tokens``."""
        try:
            self._tokenizer = Tokenizer.from_str(checkpoint.tokenizer)
        except Exception as error:  # tokenizers raises plain Exception
            raise ModelUnavailable(f"The checkpoint's {TOKENIZER} cannot be read.") from error
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(checkpoint.max_tokens)

    def __call__(self, texts: Sequence[str]) -> Tokenised:
        """Return the token ids of ``texts``, on as many threads as there are cores."""
        readable = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        places: dict[tuple[int, ...], int] = {}
        encodings = self._tokenizer.encode_batch_fast(readable)
        # A tokenizer that marks no beginning has no token for some texts; the encoder needs one.
        which = [places.setdefault(tuple(each.ids) or (0,), len(places)) for each in encodings]
        return Tokenised(list(places), which)
