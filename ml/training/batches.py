"""Tokenised texts in batches of similar length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor

_BUCKET = 50
"""How many batches are sorted by length together: enough that padding all but vanishes,
few enough that the batches still come in random order."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Token ids of many texts, each as long as it is."""

    ids: tuple[NDArray[np.int64], ...]

    def __len__(self) -> int:
        return len(self.ids)

    def batch(self, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Return ids and attention mask of ``rows``, each ``(len(rows), longest)``."""
        chosen = [torch.from_numpy(self.ids[row]) for row in rows]
        ids = torch.nn.utils.rnn.pad_sequence(chosen, batch_first=True)
        lengths = torch.tensor([len(row) for row in chosen])
        mask = torch.arange(ids.shape[1]).unsqueeze(0) < lengths.unsqueeze(1)
        return ids, mask.long()


def tokenise(tokenizer: Tokenizer, texts: Sequence[str], max_tokens: int) -> Tokens:
    """Turn ``texts`` into ids, each text cut to ``max_tokens``."""
    tokenizer.enable_truncation(max_tokens)
    encodings = tokenizer.encode_batch(list(texts))
    return Tokens(tuple(np.array(encoding.ids, np.int64) for encoding in encodings))


def shuffled(
    tokens: Tokens, size: int, generator: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """Yield one epoch of row numbers, random but with similar lengths side by side."""
    order = generator.permutation(len(tokens))
    lengths = np.array([len(ids) for ids in tokens.ids])
    for start in range(0, len(order), size * _BUCKET):
        stretch = order[start : start + size * _BUCKET]
        stretch = stretch[np.argsort(lengths[stretch], kind="stable")]
        batches = [stretch[i : i + size] for i in range(0, len(stretch), size)]
        for index in generator.permutation(len(batches)):
            yield batches[index]


def by_length(tokens: Tokens, size: int) -> Iterator[NDArray[np.int64]]:
    """Yield every row once, shortest first, for inference."""
    order = np.argsort([len(ids) for ids in tokens.ids], kind="stable")
    for start in range(0, len(order), size):
        yield order[start : start + size]
