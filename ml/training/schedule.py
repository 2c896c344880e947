"""The learning rate over a run, and the precision it computes in."""

from __future__ import annotations

import time

import torch
from torch import nn

_WARM_UP = 0.06


class Pace:
    """Counts steps, and says how far a run has come.

    With a budget of ``seconds``, the run has come as far as the further of its steps and
    its time, so that the learning rate has fallen to zero when the time is up.
    """

    def __init__(self, steps: int, seconds: float | None = None) -> None:
        self.steps = steps
        self.step = 0
        self._seconds = seconds
        self._start = time.monotonic()

    @property
    def done(self) -> float:
        """The part of the run that is behind, 0..1."""
        by_time = (time.monotonic() - self._start) / self._seconds if self._seconds else 0.0
        return min(1.0, max(self.step / self.steps, by_time))

    def advance(self) -> None:
        """Count one step."""
        self.step += 1

    def rate(self) -> float:
        """Return the learning rate as a part of its peak: a linear rise, then a linear fall."""
        return min(self.done / _WARM_UP + 1 / self.steps, (1 - self.done) / (1 - _WARM_UP), 1.0)

    def __str__(self) -> str:
        passed = time.monotonic() - self._start
        return f"{passed:.0f} s, {passed / max(self.step, 1):.2f} s/step"


def set_rates(optimiser: torch.optim.Optimizer, part: float) -> None:
    """Set each parameter group's learning rate to ``part`` of its own ``peak``."""
    for group in optimiser.param_groups:
        group["lr"] = part * group["peak"]


def device() -> torch.device:
    """Return what training computes on: a GPU where torch sees one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def amp(module: nn.Module) -> torch.autocast:
    """Return the context in which ``module`` computes: bfloat16 where it is safe.

    On a CPU with AVX-512 BF16 it halves the time of a step.
    """
    return torch.autocast(device_of(module).type, torch.bfloat16)


def device_of(module: nn.Module) -> torch.device:
    """Return where the parameters of ``module`` are."""
    return next(module.parameters()).device
