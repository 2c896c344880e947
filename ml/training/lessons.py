"""What the student reads: every corpus, as it was written and as it is heard.

=============  ==========================  ======================  =======
corpus         labels                      form                    trust
=============  ==========================  ======================  =======
GoEmotions     sub- and base emotions      once in each form       0.5
XED            base emotions               half written, half heard  0.3
transcripts    all three                   half written, half heard  0.3
EmoBank        intensity, from arousal     half written, half heard  --
=============  ==========================  ======================  =======

``trust`` is the share of a label that stays when a teacher adds its own opinion. It is
lower for the corpora that know GoEmotions' categories only by a mapping, or whose labels
are noisy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from ml.corpora import data
from ml.corpora.data import UNKNOWN, LabelledTexts
from ml.corpora.recogniser import as_heard

Opinion = Callable[[LabelledTexts, float], LabelledTexts]
"""A teacher: takes texts and how far to trust their labels, returns them relabelled."""

_TRUST_COMMENTS: Final = 0.5
_TRUST_OTHERS: Final = 0.3


def lessons(source: Path, seed: int, opinion: Opinion | None = None) -> LabelledTexts:
    """Return all training texts with their targets, those of a teacher mixed in."""
    comments = data.goemotions(source, "train")
    transcripts = data.transcripts(source, "train")
    others = (
        data.xed(source),
        data.lines(transcripts),
        data.emobank(source, _shares(transcripts)),
    )
    parts = [
        (comments, _TRUST_COMMENTS),
        (replace(comments, texts=as_heard(comments.texts, seed)), _TRUST_COMMENTS),
        *((half_heard(part, seed), _TRUST_OTHERS) for part in others),
    ]
    found = [opinion(part, trust) if opinion else part for part, trust in parts]
    return sum(found[1:], start=found[0])


def half_heard(labelled: LabelledTexts, seed: int) -> LabelledTexts:
    """Return the same texts, a random half of them as a recogniser would give them."""
    heard = as_heard(labelled.texts, seed)
    chosen = np.random.default_rng(seed).random(len(labelled)) < 0.5
    pairs = zip(chosen, heard, labelled.texts, strict=True)
    return replace(
        labelled, texts=tuple(after if pick else before for pick, after, before in pairs)
    )


def _shares(transcripts: list[data.Transcript]) -> list[float]:
    """Return which part of the graded lines is mild, moderate and intense."""
    grades = np.concatenate([transcript.intensity for transcript in transcripts])
    counts = np.bincount(grades[grades != UNKNOWN], minlength=3)
    return [float(count / counts.sum()) for count in counts]
