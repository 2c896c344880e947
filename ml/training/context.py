"""Context attention and intensity, learned on transcripts with everything else frozen.

The encoder's vectors are computed once. What single sentences taught of emotions is not
touched, so a sentence that stands alone keeps them; what can change is what neighbours add,
and the intensity, which only transcripts grade.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ml.corpora.data import BASE_INDEX_OF_SUB, UNKNOWN, Transcript
from ml.emotion.context import neighbours
from ml.emotion.model import EmotionModel, Given, Heads, Logits
from ml.training.batches import Tokens, by_length
from ml.training.schedule import device_of

log = logging.getLogger(__name__)

_RATE = 5e-4
_WEIGHT_DECAY = 0.05
_BATCH = 128
_ALONE = 0.3
"""How often a training sentence loses its neighbours: intensity must work without them."""


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of several transcripts, one after the other, with their vectors.

    ``pooled`` ``(n, hidden)``; ``rows`` and ``mask`` ``(n, slots)`` say which lines are a
    line's neighbours, never across transcripts; labels are ``UNKNOWN`` where missing.
    """

    pooled: Tensor
    given: Given
    rows: Tensor
    mask: Tensor
    sub: Tensor
    base: Tensor
    intensity: Tensor

    def heads(self, heads: Heads, chosen: Tensor, mask: Tensor) -> Logits:
        """Run ``heads`` on the ``chosen`` lines with those neighbours that ``mask`` keeps."""
        context = self.pooled[self.rows[chosen]] * mask.unsqueeze(-1)
        given = (part[chosen] for part in self.given)
        logits: Logits = heads(self.pooled[chosen], context, mask, *given)
        return logits


def encode_lines(
    model: EmotionModel, tokens: Tokens, given: Given, read: Sequence[Transcript]
) -> Lines:
    """Compute the vectors of every line of ``read`` and join them with their labels.

    ``tokens`` and ``given`` are those of all lines, one transcript after the other.
    """
    pooled = _pooled(model, tokens)
    rows, masks, first = [], [], 0
    for transcript in read:
        inside, mask = neighbours(len(transcript.texts), model.config.context_radius)
        rows.append(inside + first)
        masks.append(mask)
        first += len(transcript.texts)
    sub = np.concatenate([transcript.sub for transcript in read])
    return Lines(
        pooled,
        given,
        torch.from_numpy(np.concatenate(rows)),
        torch.from_numpy(np.concatenate(masks)),
        torch.from_numpy(sub),
        torch.from_numpy(np.where(sub == UNKNOWN, UNKNOWN, BASE_INDEX_OF_SUB[sub])),
        torch.from_numpy(np.concatenate([transcript.intensity for transcript in read])),
    )


def _pooled(model: EmotionModel, tokens: Tokens, size: int = 128) -> Tensor:
    """Return the vector of each text, ``(n, hidden)``."""
    model.eval()
    pooled = torch.zeros(len(tokens), model.config.hidden)
    place = device_of(model)
    with torch.no_grad():
        for rows in by_length(tokens, size):
            ids, mask = tokens.batch(rows)
            pooled[torch.from_numpy(rows)] = model.encoder(ids.to(place), mask.to(place)).cpu()
    return pooled


def train_context(heads: Heads, train: Lines, dev: Lines, epochs: int, seed: int) -> list[float]:
    """Train context attention and intensity in place; return the loss of each step.

    Kept is the epoch with the lowest loss on ``dev``, the untrained start among them: there
    context adds nothing, so on ``dev`` it cannot hurt.
    """
    heads.requires_grad_(False)
    trained = nn.ModuleList([heads.context, heads.intensity_dense, heads.intensity])
    trained.requires_grad_(True)
    optimiser = torch.optim.AdamW(trained.parameters(), lr=_RATE, weight_decay=_WEIGHT_DECAY)
    generator = torch.Generator().manual_seed(seed)
    best = dev_loss(heads, dev)
    log.info("context: dev loss %.4f before", best)
    kept = copy.deepcopy(trained.state_dict())
    losses: list[float] = []
    for epoch in range(epochs):
        heads.train()
        for chosen in torch.randperm(len(train.pooled), generator=generator).split(_BATCH):
            alone = torch.rand(len(chosen), 1, generator=generator) < _ALONE
            logits = train.heads(heads, chosen, train.mask[chosen] * ~alone)
            loss = _loss(logits, train, chosen)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(float(loss.detach()))
        now = dev_loss(heads, dev)
        log.info("context: epoch %d: dev loss %.4f", epoch + 1, now)
        if now < best:
            best, kept = now, copy.deepcopy(trained.state_dict())
    trained.load_state_dict(kept)
    heads.requires_grad_(True)
    return losses


def dev_loss(heads: Heads, lines: Lines) -> float:
    """Return the loss over all ``lines`` with their neighbours."""
    heads.eval()
    every = torch.arange(len(lines.pooled))
    with torch.no_grad():
        return float(_loss(lines.heads(heads, every, lines.mask), lines, every))


def _loss(logits: Logits, lines: Lines, chosen: Tensor) -> Tensor:
    """Return the loss over sub-emotion, base emotion and intensity, each where it is known."""
    sub, base, degree = lines.sub[chosen], lines.base[chosen], lines.intensity[chosen]
    known, graded = sub != UNKNOWN, degree != UNKNOWN
    one_hot = functional.one_hot(sub.clamp(min=0), logits.sub.shape[1]).float()
    of_sub = _binary(logits.sub, one_hot).sum(1) / 2
    of_base = functional.cross_entropy(logits.base, base.clamp(min=0), reduction="none")
    levels = torch.arange(logits.intensity.shape[1])
    of_degree = _binary(logits.intensity, (degree.unsqueeze(1) > levels).float()).mean(1)
    return _mean(of_sub + of_base, known) + _mean(of_degree, graded)


def _binary(logits: Tensor, target: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits, target, reduction="none")


def _mean(values: Tensor, kept: Tensor) -> Tensor:
    """Average the ``kept`` ones of ``values``, both ``(n,)``; 0 if there is none."""
    return (values * kept).sum() / kept.sum().clamp(min=1)
