"""The training run from first to last: ``emotion-clf train``.

Each phase leaves a file in the output folder, and a phase whose file is there is not run
again: a run that was stopped goes on where it was.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

import torch
from safetensors.torch import load_model, save_model
from torch import nn

from ml.emotion.checkpoint import METRICS
from ml.emotion.model import EmotionModel
from ml.training import data
from ml.training.batches import Tokens, load_tokenizer, tokenise
from ml.training.calibrate import calibrate
from ml.training.context import encode_lines, train_context
from ml.training.distill import Teacher, distill
from ml.training.evaluate import evaluate
from ml.training.export import export, write_config
from ml.training.finetune import Examples, finetune
from ml.training.options import EvaluateOptions, TrainOptions
from ml.training.warm_start import find_base_model, shape_of, warm_start

log = logging.getLogger(__name__)

_COMMANDS: Final = (
    "emotion-clf train --data DIR --output DIR",
    "emotion-clf evaluate --data DIR --checkpoint DIR/checkpoint",
)
_LEARNED: Final[tuple[data.Split, ...]] = ("train", "dev")


def train(options: TrainOptions) -> Path:
    """Train, export, calibrate and evaluate; return the checkpoint's folder."""
    if options.threads:
        torch.set_num_threads(options.threads)
    options.output.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(options.seed)
    model = EmotionModel(shape_of(find_base_model(options.base_model)))
    for phase in (distilled, finetuned, contextual):
        phase(options, model)
    return packaged(options, model)


def distilled(options: TrainOptions, model: EmotionModel) -> None:
    """First phase: fill the encoder from MiniLM and distil MiniLM into it."""

    def run() -> None:
        base_model = find_base_model(options.base_model)
        warm_start(model, base_model)
        tokens = _all_tokens(options, base_model)
        teacher = Teacher.load(base_model)
        distill(model.encoder, teacher, tokens, options.distil_steps, options.distil_batch)

    _phase(options, "distilled", model.encoder, run)


def finetuned(options: TrainOptions, model: EmotionModel) -> None:
    """Second phase: learn base emotions and sub-emotions from single sentences."""

    def run() -> None:
        tokenizer = load_tokenizer(find_base_model(options.base_model) / "tokenizer.json")
        known = data.goemotions(options.data, "train") + data.xed(options.data)
        train, dev = (
            Examples.of(labelled, tokenise(tokenizer, labelled.texts, options.max_tokens))
            for labelled in (known, data.goemotions(options.data, "dev"))
        )
        unfinished = options.output / "unfinished.safetensors"
        finetune(model, train, dev, options, lambda: save_model(model, str(unfinished)))
        unfinished.unlink(missing_ok=True)

    _phase(options, "finetuned", model, run)


def contextual(options: TrainOptions, model: EmotionModel) -> None:
    """Third phase: learn intensity, and what neighbours add, from transcripts."""

    def run() -> None:
        tokenizer = load_tokenizer(find_base_model(options.base_model) / "tokenizer.json")
        read = [data.transcripts(options.data, split) for split in _LEARNED]
        learn, dev = (encode_lines(model, tokenizer, lines, options.max_tokens) for lines in read)
        train_context(model.heads, learn, dev, options.context_epochs, options.seed)

    _phase(options, "contextual", model, run)


def packaged(options: TrainOptions, model: EmotionModel) -> Path:
    """Last phase: export the graphs, find thresholds and temperatures, measure it all."""
    folder = options.output / "checkpoint"
    tokenizer = find_base_model(options.base_model) / "tokenizer.json"
    full = export(model, tokenizer, folder)
    write_config(folder, options, model.config)
    write_config(folder, options, model.config, *calibrate(folder, options.data))
    metrics = evaluate(
        EvaluateOptions(options.data, folder, full_encoder=full, threads=options.threads)
    )
    metrics = {"commands": _COMMANDS, **metrics}
    (folder / METRICS).write_text(json.dumps(metrics, indent=2) + "\n")
    return folder


def _all_tokens(options: TrainOptions, base_model: Path) -> Tokens:
    """Tokenise every training text; distillation needs no labels."""
    texts = [*data.goemotions(options.data, "train").texts, *data.xed(options.data).texts]
    for transcript in data.transcripts(options.data, "train"):
        texts.extend(transcript.texts)
    return tokenise(load_tokenizer(base_model / "tokenizer.json"), texts, options.max_tokens)


def _phase(options: TrainOptions, name: str, module: nn.Module, run: Callable[[], None]) -> None:
    """Run one phase and keep ``module``, or load what an earlier run kept."""
    path = options.output / f"{name}.safetensors"
    if path.is_file():
        log.info("%s: reusing %s", name, path.name)
        load_model(module, path)
        return
    torch.manual_seed(options.seed)
    run()
    partial = path.with_suffix(".partial")
    save_model(module, str(partial))
    partial.replace(path)
    log.info("%s: kept as %s", name, path.name)
