"""The teacher: a large encoder, fine-tuned on GoEmotions, that labels texts for the student.

A label says which emotions annotators chose; a teacher's probabilities also say how near the
others were, and they can be had for any text. The student learns from both (Hinton et al.
2015, https://arxiv.org/abs/1503.02531).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from tokenizers import Tokenizer

from ml.corpora.data import LabelledTexts
from ml.emotion.model import EmotionModel, Given
from ml.emotion.probabilities import sigmoid, softmax
from ml.training.batches import tokenise
from ml.training.finetune import Examples, predict


@dataclass(frozen=True, slots=True)
class Teacher:
    """A model without features, and how it reads texts."""

    model: EmotionModel
    tokenizer: Tokenizer
    max_tokens: int

    def examples(self, labelled: LabelledTexts) -> Examples:
        """Return ``labelled`` as the teacher reads it."""
        rows = len(labelled)
        ids = torch.zeros(rows, 1, dtype=torch.int64)
        nothing = Given(torch.zeros(rows, 0), ids, torch.zeros(rows, 1))
        tokens = tokenise(self.tokenizer, labelled.texts, self.max_tokens)
        return Examples.of(labelled, tokens, nothing)

    def opinion(self, labelled: LabelledTexts, trust: float) -> LabelledTexts:
        """Return ``labelled`` with its targets mixed with what the teacher finds probable.

        ``trust`` 0..1 is the share that a known label keeps; an unknown one is the
        teacher's alone. Intensity, which the teacher has not learned, stays as it is.
        """
        logits = predict(self.model, self.examples(labelled))
        of_sub, of_base = (trust * labelled.weights[:, [column]] for column in (0, 1))
        sub = of_sub * labelled.sub + (1 - of_sub) * sigmoid(logits.sub)
        base = of_base * labelled.base + (1 - of_base) * softmax(logits.base)
        weights = labelled.weights.copy()
        weights[:, :2] = 1.0
        return replace(
            labelled, sub=sub.astype(np.float32), base=base.astype(np.float32), weights=weights
        )
