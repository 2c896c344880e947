"""What an evaluation can be asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


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
