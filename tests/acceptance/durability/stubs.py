"""Stages that need no model, take a while, and misbehave when the text asks for it.

The text is ``name seconds behaviour``. Behaviours: those of ``DEATHS`` end the process that
classifies, or hang it; ``deaf`` does not look at ``Context.check`` while it classifies, ``well``
none of these.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import time
from dataclasses import replace

import ml.pipeline
from ml.results import Analysis, Sentence, Summary
from ml.stage import Context, Outputs, Predictions, Sentences


def work(context: Context, *, deaf: bool = False) -> None:
    """Take the time that the text asks for, in turns: a stopped process takes the rest later."""
    turns = round(float(context.source.value.split()[1]) / 0.05)
    for turn in range(turns):
        time.sleep(0.05)
        context.progress(turn / turns, f"{turn} of {turns}")
        if not deaf:
            context.check()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def run_out_of_memory() -> None:
    """Take what there is, and abort, as native code does when nobody catches its bad_alloc."""
    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, resource.RLIM_INFINITY))
    taken = []
    try:
        while True:
            taken.append(bytearray(64 << 20))
    except MemoryError:
        os.abort()


def segfault() -> None:
    ctypes.string_at(0)


def loop() -> None:
    while True:
        pass


DEATHS = {"kill": die, "oom": run_out_of_memory, "segfault": segfault, "loop": loop}


def segment(context: Context, outputs: Outputs, part: int) -> Sentences:
    work(context)
    said = Sentence(0, context.source.value)
    return Sentences("en", (said,), ((0.0,),), "stub", None, {})


def classify(context: Context, outputs: Outputs, part: int) -> Predictions:
    behaviour = context.source.value.split()[2]
    if behaviour in DEATHS:
        DEATHS[behaviour]()
    work(context, deaf=behaviour == "deaf")
    # Another process may have another answer, as a model on other hardware has.
    return Predictions((), f"stub {os.getpid()}")


def aggregate(context: Context, outputs: Outputs, part: int) -> Analysis:
    work(context)
    model = outputs.one("classify", Predictions).model
    return Analysis("en", None, {"classification": model}, (), Summary(0, 0.0, None, {}, (), ()))


RUN = {"segment": segment, "classify": classify, "aggregate": aggregate}
ml.pipeline.STAGES = tuple(
    replace(stage, run=RUN.get(stage.name, stage.run)) for stage in ml.pipeline.STAGES
)
