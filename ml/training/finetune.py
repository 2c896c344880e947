"""Fine-tuning of encoder and heads on comments and subtitle lines, each on its own.

GoEmotions teaches sub-emotions and base emotions, XED base emotions only. Context and
intensity are learned afterwards, on transcripts (:mod:`ml.training.context`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ml.emotion.model import EmotionModel, Logits
from ml.emotion.probabilities import sigmoid
from ml.text.features import features
from ml.training.batches import Tokens, by_length, shuffled
from ml.training.calibrate import macro_f1, tune_thresholds
from ml.training.data import LabelledTexts
from ml.training.options import TrainOptions
from ml.training.schedule import Pace, amp, set_rates

log = logging.getLogger(__name__)

_MAX_WEIGHT = 10.0
_WEIGHT_DECAY = 0.01
_LOG_EVERY = 50
_KEEP_EVERY = 500


@dataclass(frozen=True, slots=True)
class Examples:
    """Labelled texts as tensors."""

    tokens: Tokens
    features: Tensor
    sub: Tensor
    base: Tensor
    has_sub: Tensor

    @classmethod
    def of(cls, labelled: LabelledTexts, tokens: Tokens) -> Examples:
        """Join ``labelled`` with its tokens, and compute its features."""
        return cls(
            tokens,
            torch.from_numpy(features(labelled.texts)),
            torch.from_numpy(labelled.sub),
            torch.from_numpy(labelled.base),
            torch.from_numpy(labelled.has_sub),
        )


def finetune(
    model: EmotionModel,
    train: Examples,
    dev: Examples,
    options: TrainOptions,
    keep: Callable[[], None] = lambda: None,
) -> list[float]:
    """Train ``model`` in place; return the loss of each step.

    ``keep`` is called now and then, so that a run that is stopped leaves something behind.
    """
    weights = positive_weights(train)
    _start_from_prior(model, train, weights)
    optimiser = _optimiser(model, options)
    steps = options.epochs * -(-len(train.tokens) // options.batch)
    pace = Pace(steps, options.minutes * 60 if options.minutes else None)
    generator = np.random.default_rng(options.seed)
    losses: list[float] = []
    for epoch in range(options.epochs):
        model.train()
        for rows in shuffled(train.tokens, options.batch, generator):
            if pace.done >= 1:
                break
            set_rates(optimiser, pace.rate())
            losses.append(_step(model, optimiser, train, rows, weights))
            pace.advance()
            if pace.step % _LOG_EVERY == 0:
                recent = float(np.mean(losses[-_LOG_EVERY:]))
                log.info("finetune %d/%d: loss %.3f, %s", pace.step, steps, recent, pace)
            if pace.step % _KEEP_EVERY == 0:
                keep()
        log.info("epoch %d: dev macro-F1 %.4f", epoch + 1, dev_macro_f1(model, dev))
        if pace.done >= 1:
            break
    with torch.no_grad():
        # A positive counted w times moves its logit by log w, which is taken back here:
        # what leaves training are probabilities again.
        model.heads.sub.bias -= weights.log()
    return losses


def positive_weights(train: Examples) -> Tensor:
    """Return how much more a positive counts than a negative, ``(28,)``.

    The square root of their ratio, bounded: rare labels get a say, common ones keep theirs.
    """
    known = train.sub[train.has_sub]
    positives = known.sum(0).clamp(min=1.0)
    return ((len(known) - positives) / positives).sqrt().clamp(1.0, _MAX_WEIGHT)


def dev_macro_f1(model: EmotionModel, dev: Examples) -> float:
    """Return the macro-F1 over 28 labels with thresholds tuned on the very same texts."""
    probabilities = sigmoid(predict(model, dev))
    target = dev.sub.numpy()
    return macro_f1(probabilities >= tune_thresholds(probabilities, target), target)


def predict(model: EmotionModel, examples: Examples, size: int = 128) -> NDArray[np.float32]:
    """Return the sub-emotion logits of ``examples``, ``(n, 28)``, in their order."""
    model.eval()
    found = np.zeros(tuple(examples.sub.shape), np.float32)
    for rows in by_length(examples.tokens, size):
        with torch.no_grad(), amp():
            logits = model(*examples.tokens.batch(rows), examples.features[rows])
        found[rows] = logits.sub.float().numpy()
    return found


def _step(
    model: EmotionModel,
    optimiser: torch.optim.Optimizer,
    train: Examples,
    rows: NDArray[np.int64],
    weights: Tensor,
) -> float:
    with amp():
        logits = model(*train.tokens.batch(rows), train.features[rows])
    loss = _loss(logits, train.sub[rows], train.base[rows], train.has_sub[rows], weights)
    optimiser.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    return float(loss.detach())


def _loss(logits: Logits, sub: Tensor, base: Tensor, has_sub: Tensor, weights: Tensor) -> Tensor:
    """Return the sum over labels of the sub-emotion loss plus the base-emotion loss."""
    each = functional.binary_cross_entropy_with_logits(
        logits.sub.float(), sub, pos_weight=weights, reduction="none"
    ).sum(1)
    of_sub = (each * has_sub).sum() / has_sub.sum().clamp(min=1)
    return of_sub + functional.cross_entropy(logits.base.float(), base)


def _start_from_prior(model: EmotionModel, train: Examples, weights: Tensor) -> None:
    """Set the sub-emotion biases to the labels' frequencies, which saves learning them."""
    frequency = train.sub[train.has_sub].mean(0).clamp(1e-4, 1 - 1e-4)
    with torch.no_grad():
        model.heads.sub.bias.copy_(frequency.logit() + weights.log())


def _optimiser(model: EmotionModel, options: TrainOptions) -> torch.optim.Optimizer:
    heads = model.heads
    trained = nn.ModuleList([heads.features, heads.dense, heads.sub, heads.base])
    groups = []
    for module, peak in ((model.encoder, options.encoder_rate), (trained, options.heads_rate)):
        for decays in (True, False):
            parameters = [p for p in module.parameters() if (p.ndim > 1) == decays]
            decay = _WEIGHT_DECAY if decays else 0.0
            groups.append({"params": parameters, "peak": peak, "weight_decay": decay})
    return torch.optim.AdamW(groups, lr=0.0, fused=True)
