"""Distillation of MiniLM's token states into the warm-started encoder.

It teaches the encoder to tell word order from distances, without any label: the student
reads the same tokens as MiniLM and is to reach the same token states (Jiao et al. 2020).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional
from transformers import BertConfig, BertModel

from ml.emotion.model import Encoder, mean_pool
from ml.training.batches import Tokens, shuffled
from ml.training.schedule import Pace, amp, set_rates

log = logging.getLogger(__name__)

_RATE = 5e-4
_LOG_EVERY = 50


@dataclass(frozen=True, slots=True)
class Teacher:
    """MiniLM, frozen."""

    bert: BertModel

    @classmethod
    def load(cls, base_model: Path) -> Teacher:
        """Read MiniLM from its folder."""
        config = BertConfig.from_json_file(str(base_model / "config.json"))
        bert = BertModel(config, add_pooling_layer=False)
        weights = load_file(base_model / "model.safetensors")
        own = bert.state_dict()
        bert.load_state_dict({name: weights[name] for name in own if name in weights}, strict=False)
        return cls(bert.eval().requires_grad_(False))

    def states(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Return the last layer's token states, ``(n, tokens, hidden)``."""
        with torch.no_grad():
            states: Tensor = self.bert(ids, mask).last_hidden_state
        return states


def distill(encoder: Encoder, teacher: Teacher, tokens: Tokens, steps: int, batch: int) -> float:
    """Train ``encoder`` for ``steps`` batches; return the last mean cosine of the pooled vectors.

    The word embeddings stay as they are: they were copied, and leaving them out saves time.
    """
    encoder.train()
    words = encoder.deberta.get_input_embeddings()
    words.requires_grad_(False)
    trained = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW([{"params": trained, "peak": _RATE}], lr=0.0, fused=True)
    pace = Pace(steps)
    generator = np.random.default_rng(0)
    cosine = 0.0
    while pace.step < steps:
        for rows in shuffled(tokens, batch, generator):
            if pace.step >= steps:
                break
            set_rates(optimiser, pace.rate())
            similarity = _step(encoder, teacher, optimiser, *tokens.batch(rows))
            cosine = 0.98 * cosine + 0.02 * similarity if pace.step else similarity
            pace.advance()
            if pace.step % _LOG_EVERY == 0:
                log.info("distil %d/%d: pooled cosine %.3f, %s", pace.step, steps, cosine, pace)
    words.requires_grad_(True)
    return cosine


def _step(
    encoder: Encoder, teacher: Teacher, optimiser: torch.optim.Optimizer, ids: Tensor, mask: Tensor
) -> float:
    """Take one step; return the mean cosine between student's and teacher's pooled vectors."""
    with amp():
        wanted = teacher.states(ids, mask).float()
        states = encoder.states(ids, mask).float()
    kept = mask.bool()
    student, target = states[kept], wanted[kept]
    similarity = functional.cosine_similarity(
        mean_pool(states, mask), mean_pool(wanted, mask)
    ).mean()
    loss = (
        functional.mse_loss(student, target) / target.var()
        + (1 - functional.cosine_similarity(student, target).mean())
        + (1 - similarity)
    )
    optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
    optimiser.step()
    return float(similarity.detach())
