"""The emotion classifier as torch modules: an encoder, DeBERTa-v3, with the project's own heads.

Training and the GPU runtime import this module; what is trained here leaves as the two ONNX
graphs that :mod:`ml.emotion.runtime` reads. The graphs are split where sentences meet: the encoder
turns one sentence into one vector, the heads see that vector, the vectors of the
neighbouring sentences and the hand-made features. So a neighbour is encoded once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from ml.taxonomy import BASE_EMOTIONS, INTENSITIES, SUB_EMOTIONS


def deberta(
    *, vocab_size: int, hidden: int, layers: int, attention_heads: int, intermediate: int
) -> dict[str, Any]:
    """Return the configuration of a DeBERTa-v3 of any size.

    It is laid out as the published ones but for one thing: positions are also added to the
    input, so that an encoder trained that way is an exact place to start from (see
    :mod:`ml.training.start`). Texts may be longer than the largest distance with a bucket.
    """
    return {
        "model_type": "deberta-v2",
        "vocab_size": vocab_size,
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": attention_heads,
        "intermediate_size": intermediate,
        "max_position_embeddings": 512,
        "position_buckets": 32,
        "relative_attention": True,
        "position_biased_input": True,
        "pos_att_type": ["p2c", "c2p"],
        "share_att_key": True,
        "norm_rel_ebd": "layer_norm",
        "type_vocab_size": 0,
        "layer_norm_eps": 1e-7,
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
    }


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The shape of an :class:`EmotionModel`."""

    backbone: Mapping[str, Any]
    """The encoder as transformers describes it: ``model_type`` and the rest of its
    ``config.json``. Any encoder that :class:`transformers.AutoModel` knows will do."""
    features: int = 0
    """Length of the linguistic feature vector (``ml.text.features``)."""
    terms: int = 0
    """Size of the TF-IDF vocabulary (``ml.text.terms``); id 0 stands for no term."""
    term_width: int = 64
    context_radius: int = 3
    """How many sentences on either side the contextual attention sees."""
    context_width: int = 192
    context_heads: int = 4
    dropout: float = 0.1
    feature_dropout: float = 0.3
    """How often a training example loses its features and terms, so that zeros mean
    "switched off"."""

    @property
    def hidden(self) -> int:
        """Width of the encoder's vectors."""
        return int(self.backbone["hidden_size"])

    @property
    def neighbours(self) -> int:
        """Number of context slots: ``radius`` before the sentence, then ``radius`` after."""
        return 2 * self.context_radius


class Logits(NamedTuple):
    """What the heads return for a batch of ``n`` sentences."""

    sub: Tensor
    """``(n, 28)``: one logit for each sub-emotion, read with a sigmoid."""
    base: Tensor
    """``(n, 7)``: read with a softmax."""
    intensity: Tensor
    """``(n, 2)``: logits of "more than mild" and "more than moderate", never rising."""


class Encoder(nn.Module):
    """The backbone and the mean over its token states: ``(n, tokens) -> (n, hidden)``."""

    def __init__(self, backbone: Mapping[str, Any]) -> None:
        super().__init__()
        self.backbone = AutoModel.from_config(AutoConfig.for_model(**backbone))
        # The pooler of BERT's relatives reads one token; here all are averaged.
        if getattr(self.backbone, "pooler", None) is not None:
            self.backbone.pooler = None

    def states(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the last layer's token states, ``(n, tokens, hidden)``."""
        states: Tensor = self.backbone(
            input_ids=input_ids, attention_mask=attention_mask
        ).last_hidden_state
        return states

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return one vector for each sentence, the mean over its tokens."""
        return mean_pool(self.states(input_ids, attention_mask), attention_mask)


def mean_pool(states: Tensor, attention_mask: Tensor) -> Tensor:
    """Average ``states`` ``(n, tokens, hidden)`` over the tokens that the mask keeps."""
    weights = attention_mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1).clamp(min=1.0)


class ContextAttention(nn.Module):
    """Attention from a sentence to its neighbours, added through a gate.

    A sentence without neighbours passes through unchanged, to the bit: what is added is
    multiplied by whether there is any neighbour at all.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.heads = config.context_heads
        self.width = config.context_width
        self.query = nn.Linear(config.hidden, self.width)
        self.key_value = nn.Linear(config.hidden, 2 * self.width)
        self.slots = nn.Parameter(torch.zeros(config.neighbours, self.width))
        self.gate = nn.Linear(config.hidden + self.width, config.hidden)
        self.output = nn.Linear(self.width, config.hidden)
        self.dropout = nn.Dropout(config.dropout)
        nn.init.normal_(self.slots, std=0.02)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, pooled: Tensor, context: Tensor, context_mask: Tensor) -> Tensor:
        """Return ``pooled`` ``(n, hidden)`` with what its neighbours say added.

        ``context`` is ``(n, slots, hidden)``; ``context_mask`` ``(n, slots)`` holds 1.0
        where there is a neighbour and 0.0 where there is none.
        """
        batch, slots = context_mask.shape
        depth = self.width // self.heads
        query = self.query(pooled).view(batch, self.heads, 1, depth)
        key, value = self.key_value(context).chunk(2, dim=-1)
        key = (key + self.slots).view(batch, slots, self.heads, depth).permute(0, 2, 3, 1)
        value = value.reshape(batch, slots, self.heads, depth).transpose(1, 2)
        scores = (query @ key).squeeze(2) * depth**-0.5
        scores = scores + (context_mask.unsqueeze(1) - 1.0) * 1e4
        seen = (scores.softmax(-1).unsqueeze(2) @ value).reshape(batch, self.width)
        gate = self.gate(torch.cat([pooled, seen], dim=-1)).sigmoid()
        present = context_mask.amax(dim=1, keepdim=True)
        return pooled + present * gate * self.output(self.dropout(seen))


class OrdinalHead(nn.Module):
    """Ordered classes by cumulative logits over one shared score (CORAL, Cao et al. 2020).

    The thresholds are a first one and positive steps from it, so that "more than moderate"
    can never be likelier than "more than mild".
    """

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        self.score = nn.Linear(inputs, 1, bias=False)
        self.first = nn.Parameter(torch.zeros(1))
        self.steps = nn.Parameter(torch.zeros(classes - 2))

    def forward(self, hidden: Tensor) -> Tensor:
        """Return ``(n, classes - 1)`` logits of "more than class k"."""
        steps = nn.functional.softplus(self.steps)
        thresholds = torch.cat([self.first, self.first + torch.cumsum(steps, dim=0)])
        ordered: Tensor = self.score(hidden) - thresholds
        return ordered


class Heads(nn.Module):
    """From pooled vectors, context, features and terms to the three sets of logits."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.feature_dropout = config.feature_dropout
        self.context = ContextAttention(config)
        self.features = nn.Linear(config.features, config.hidden, bias=False)
        self.terms = nn.Embedding(config.terms + 1, config.term_width, padding_idx=0)
        self.term_output = nn.Linear(config.term_width, config.hidden, bias=False)
        self.dense = nn.Linear(config.hidden, config.hidden)
        self.dropout = nn.Dropout(config.dropout)
        self.sub = nn.Linear(config.hidden, len(SUB_EMOTIONS))
        self.base = nn.Linear(config.hidden, len(BASE_EMOTIONS))
        self.intensity_dense = nn.Linear(config.hidden, config.hidden // 4)
        self.intensity = OrdinalHead(config.hidden // 4, len(INTENSITIES))
        nn.init.zeros_(self.term_output.weight)

    def forward(
        self,
        pooled: Tensor,
        context: Tensor,
        context_mask: Tensor,
        features: Tensor,
        term_ids: Tensor,
        term_weights: Tensor,
    ) -> Logits:
        """Return the logits of ``n`` sentences.

        ``pooled`` is ``(n, hidden)``, ``features`` ``(n, features)``; ``term_ids`` and
        ``term_weights`` ``(n, width)`` hold the TF-IDF vector's entries that are not zero,
        padded with zeros; the context's shapes are those of :class:`ContextAttention`.
        """
        vectors = self.terms(term_ids) * term_weights.unsqueeze(-1)
        given = self.features(features) + self.term_output(vectors.sum(1))
        if self.training and self.feature_dropout:
            given = given * (torch.rand_like(given[:, :1]) >= self.feature_dropout)
        joined = self.context(pooled, context, context_mask) + given
        hidden = self.dropout(nn.functional.gelu(self.dense(joined)))
        degree = self.dropout(nn.functional.gelu(self.intensity_dense(joined)))
        return Logits(self.sub(hidden), self.base(hidden), self.intensity(degree))


class Given(NamedTuple):
    """What the feature engine says of ``n`` sentences; zeros switch it off."""

    features: Tensor
    """``(n, features)``."""
    term_ids: Tensor
    """``(n, width)`` of integers."""
    term_weights: Tensor
    """``(n, width)``."""


class EmotionModel(nn.Module):
    """Encoder and heads in one, as fine-tuning sees them."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config.backbone)
        self.heads = Heads(config)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, given: Given) -> Logits:
        """Return the logits of sentences that stand alone."""
        pooled = self.encoder(input_ids, attention_mask).float()
        context, mask = no_context(pooled, self.config)
        logits: Logits = self.heads(pooled, context, mask, *given)
        return logits


def no_context(pooled: Tensor, config: ModelConfig) -> tuple[Tensor, Tensor]:
    """Return the context and its mask for sentences that have no neighbours."""
    shape = (len(pooled), config.neighbours)
    return pooled.new_zeros(*shape, config.hidden), pooled.new_zeros(shape)
