"""Fine-tuning on single sentences: sub-emotions, base emotions and intensity at once.

Student and teacher learn alike: whether a target is what annotators chose or how probable a
teacher finds it makes no difference to the loss.
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

from ml.corpora.data import LabelledTexts
from ml.emotion.model import EmotionModel, Given, Logits
from ml.emotion.probabilities import sigmoid
from ml.evaluation.calibrate import tune_thresholds
from ml.evaluation.scores import f1_per_label
from ml.training.batches import Tokens, by_length, shuffled
from ml.training.options import Rates
from ml.training.schedule import Pace, amp, device_of, set_rates

log = logging.getLogger(__name__)

_MAX_WEIGHT = 10.0
_WEIGHT_DECAY = 0.01
_LOG_EVERY = 50
_KEEP_EVERY = 500
_DEGREE_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Examples:
    """Labelled texts as tensors; the targets as in :class:`~ml.corpora.data.LabelledTexts`."""

    tokens: Tokens
    given: Given
    sub: Tensor
    base: Tensor
    degree: Tensor
    weights: Tensor

    @classmethod
    def of(cls, labelled: LabelledTexts, tokens: Tokens, given: Given) -> Examples:
        """Join ``labelled`` with its tokens and with what the feature engine says of it."""
        targets = labelled.sub, labelled.base, labelled.degree, labelled.weights
        return cls(tokens, given, *(torch.from_numpy(target) for target in targets))

    def logits(self, model: EmotionModel, rows: NDArray[np.int64]) -> Logits:
        """Run ``model`` on some rows."""
        place = device_of(model)
        given = Given(*(part[rows].to(place) for part in self.given))
        ids, mask = self.tokens.batch(rows)
        logits: Logits = model(ids.to(place), mask.to(place), given)
        return logits


def finetune(
    model: EmotionModel,
    train: Examples,
    dev: Examples,
    rates: Rates,
    seed: int,
    keep: Callable[[], None] = lambda: None,
) -> list[float]:
    """Train ``model`` in place; return the loss of each step.

    ``keep`` is called now and then, so that a run that is stopped leaves something behind.
    """
    weights = positive_weights(train).to(device_of(model))
    _start_from_prior(model, train, weights)
    optimiser = _optimiser(model, rates)
    steps = rates.epochs * -(-len(train.tokens) // rates.batch)
    pace = Pace(steps, rates.minutes * 60 if rates.minutes else None)
    generator = np.random.default_rng(seed)
    losses: list[float] = []
    for epoch in range(rates.epochs):
        model.train()
        for rows in shuffled(train.tokens, rates.batch, generator):
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
        log.info("epoch %d: dev macro-F1 %.4f", epoch + 1, dev_macro_f1(model, dev, weights))
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
    known = train.sub[train.weights[:, 0] > 0]
    positives = known.sum(0).clamp(min=1.0)
    return ((len(known) - positives) / positives).sqrt().clamp(1.0, _MAX_WEIGHT)


def dev_macro_f1(model: EmotionModel, dev: Examples, positive: Tensor) -> float:
    """Return the macro-F1 over 28 labels with thresholds tuned on the very same texts.

    ``positive`` is how much more positives counted in training, which is taken back here.
    """
    probabilities = sigmoid(predict(model, dev).sub - positive.log().cpu().numpy())
    target = dev.sub.numpy()
    present = probabilities >= tune_thresholds(probabilities, target)
    return float(f1_per_label(present, target).mean())


def predict(model: EmotionModel, examples: Examples, size: int = 128) -> Logits:
    """Return the logits of all ``examples``, in their order, as arrays."""
    model.eval()
    found = Logits(*(np.zeros((len(examples.tokens), n), np.float32) for n in (28, 7, 2)))
    for rows in by_length(examples.tokens, size):
        with torch.inference_mode(), amp(model):
            logits = examples.logits(model, rows)
        for whole, part in zip(found, logits, strict=True):
            whole[rows] = part.float().cpu().numpy()
    return found


def _step(
    model: EmotionModel,
    optimiser: torch.optim.Optimizer,
    train: Examples,
    rows: NDArray[np.int64],
    positive: Tensor,
) -> float:
    with amp(model):
        logits = train.logits(model, rows)
    loss = _loss(logits, train, rows, positive)
    optimiser.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    return float(loss.detach())


def _loss(logits: Logits, train: Examples, rows: NDArray[np.int64], positive: Tensor) -> Tensor:
    """Return the sub-emotions' loss, summed over labels, plus those of the other two heads."""
    wanted = (train.sub, train.base, train.degree, train.weights)
    of_sub, of_base, of_degree, weights = (part[rows].to(positive.device) for part in wanted)
    binary = functional.binary_cross_entropy_with_logits
    sub = binary(logits.sub.float(), of_sub, pos_weight=positive, reduction="none").sum(1)
    base = functional.cross_entropy(logits.base.float(), of_base, reduction="none")
    degree = binary(logits.intensity.float(), of_degree, reduction="none").sum(1)
    each = torch.stack([sub, base, _DEGREE_SHARE * degree], dim=1) * weights
    return each.sum() / len(rows)


def _start_from_prior(model: EmotionModel, train: Examples, positive: Tensor) -> None:
    """Set the sub-emotion biases to the labels' frequencies, which saves learning them."""
    known = train.weights[:, 0] > 0
    frequency = train.sub[known].mean(0).clamp(1e-4, 1 - 1e-4)
    with torch.no_grad():
        model.heads.sub.bias.copy_(frequency.logit().to(positive.device) + positive.log())


def _optimiser(model: EmotionModel, rates: Rates) -> torch.optim.Optimizer:
    """Return AdamW over the encoder and all heads but the context, which comes later."""
    heads = nn.ModuleList(
        part for name, part in model.heads.named_children() if name not in ("context", "dropout")
    )
    groups = []
    for module, peak in ((model.encoder, rates.encoder_rate), (heads, rates.heads_rate)):
        for decays in (True, False):
            parameters = [p for p in module.parameters() if (p.ndim > 1) == decays]
            decay = _WEIGHT_DECAY if decays else 0.0
            groups.append({"params": parameters, "peak": peak, "weight_decay": decay})
    return torch.optim.AdamW(groups, lr=0.0, fused=True)
