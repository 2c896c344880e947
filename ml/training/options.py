"""What training can be asked for. Importing this needs no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Rates:
    """How long and how fast one model is fine-tuned."""

    epochs: int
    batch: int
    encoder_rate: float
    """Peak learning rate of the encoder; the heads' is ``heads_rate``."""
    heads_rate: float
    minutes: float | None = None
    """Wall-clock budget. The learning rate falls to zero by then even if fewer epochs were
    done; None always does all epochs, and only that repeats exactly."""


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """One training run. A checkpoint's ``config.json`` records the options that made it."""

    data: Path
    """Folder with ``goemotions``, ``xed``, ``tv_transcripts`` and ``emobank``."""
    output: Path
    """Folder of the run. A phase whose result is there already is not run again."""
    backbone: str | None = None
    """Folder or Hub name of the encoder to train; None is MiniLM in DeBERTa-v3's shape."""
    teacher: str | None = None
    """Folder or Hub name of a large encoder to learn from; None does without."""
    version: str = "0.2.0"
    """The version written into the checkpoint."""
    student_rates: Rates = field(default_factory=lambda: Rates(3, 64, 1e-4, 1e-3))
    teacher_rates: Rates = field(default_factory=lambda: Rates(2, 64, 5e-5, 1e-3))
    terms: int = 4096
    """Size of the TF-IDF vocabulary."""
    max_tokens: int = 64
    """Longer training texts are cut."""
    context_epochs: int = 6
    threads: int = 0
    """Threads of the CPU; 0 leaves the choice to torch."""
    seed: int = 13
