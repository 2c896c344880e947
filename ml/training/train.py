"""The training run from first to last: ``emotion-clf train``.

Each phase leaves a file in the output folder, and a phase whose file is there is not run
again: a run that was stopped goes on where it was.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from safetensors.torch import load_model, save_model
from torch import nn

from ml.corpora import data
from ml.corpora.data import LabelledTexts
from ml.emotion.checkpoint import METRICS, TERMS
from ml.emotion.inputs import TERM_WIDTH
from ml.emotion.model import EmotionModel, Given, ModelConfig
from ml.errors import OptionInvalid
from ml.evaluation.calibrate import calibrate
from ml.evaluation.evaluate import evaluate
from ml.evaluation.options import EvaluateOptions
from ml.text.features import FEATURE_NAMES, features
from ml.text.terms import TermWeights
from ml.training.batches import tokenise
from ml.training.context import Lines, encode_lines, train_context
from ml.training.export import export, write_config
from ml.training.finetune import Examples, finetune
from ml.training.lessons import half_heard, lessons
from ml.training.options import Rates, TrainOptions
from ml.training.schedule import device
from ml.training.start import minilm, pretrained
from ml.training.teacher import Teacher

log = logging.getLogger(__name__)

_LEARNED: Final[tuple[data.Split, ...]] = ("train", "dev")


def train(options: TrainOptions) -> Path:
    """Train, export, calibrate and evaluate; return the checkpoint's folder."""
    if options.threads:
        torch.set_num_threads(options.threads)
    options.output.mkdir(parents=True, exist_ok=True)
    _refuse_another_run(options)
    run = _Run(options)
    run.finetuned()
    run.contextual()
    return run.packaged()


def _refuse_another_run(options: TrainOptions) -> None:
    """Raise OptionInvalid if the output folder holds phases that other options made."""
    path = options.output / "options.json"
    wanted = json.dumps(asdict(options) | {"threads": 0}, default=str, indent=2)
    if path.is_file() and path.read_text() != wanted:
        raise OptionInvalid(f"{options.output} holds a run with other options; name another.")
    path.write_text(wanted)


class _Run:
    """One training run: the student, and what it needs to read texts."""

    def __init__(self, options: TrainOptions) -> None:
        self._options = options
        torch.manual_seed(options.seed)
        self._start = pretrained(options.backbone) if options.backbone else minilm()
        self._terms = self._vocabulary()
        shape = ModelConfig(
            self._start.backbone, features=len(FEATURE_NAMES), terms=len(self._terms.terms)
        )
        self._model = EmotionModel(shape).to(device())

    def finetuned(self) -> None:
        """First phase: learn from single sentences, and from the teacher if there is one."""
        options = self._options

        def run() -> None:
            self._start.fill(self._model.encoder)
            known = self._lessons()
            train = self._examples(known)
            dev = self._examples(data.goemotions(options.data, "dev"))
            _finetuned(self._model, train, dev, options, options.student_rates)

        _phase(options, "finetuned", self._model, run)

    def contextual(self) -> None:
        """Second phase: learn what neighbours add, from transcripts."""
        options = self._options

        def run() -> None:
            learn, dev = (self._lines(split) for split in _LEARNED)
            # Small enough for a processor, and its lines are there.
            heads = self._model.heads.cpu()
            train_context(heads, learn, dev, options.context_epochs, options.seed)

        _phase(options, "contextual", self._model, run)

    def packaged(self) -> Path:
        """Last phase: export the graphs, find thresholds and temperatures, measure it all."""
        options, model, start = self._options, self._model.cpu(), self._start
        folder = options.output / "checkpoint"
        full = export(model, start, self._terms, folder)
        write_config(folder, options, model, start)
        found = calibrate(folder, options.data, options.threads)
        write_config(folder, options, model, start, *found)
        metrics = evaluate(
            EvaluateOptions(options.data, folder, full_encoder=full, threads=options.threads)
        )
        (folder / METRICS).write_text(json.dumps(metrics, indent=2) + "\n")
        return folder

    def _vocabulary(self) -> TermWeights:
        """Choose the terms of TF-IDF, or read those that an earlier run chose."""
        path = self._options.output / TERMS
        if not path.is_file():
            comments = data.goemotions(self._options.data, "train").texts
            path.write_text(TermWeights.fit(comments, size=self._options.terms).to_json())
        return TermWeights.from_json(path.read_text())

    def _lessons(self) -> LabelledTexts:
        """Return the training texts with their targets, relabelled once if there is a teacher."""
        options, path = self._options, self._options.output / "taught.npz"
        plain = lessons(options.data, options.seed)
        if options.teacher is None:
            return plain
        if not path.is_file():
            taught = lessons(options.data, options.seed, _teacher(options).opinion)
            partial = path.with_suffix(".partial.npz")
            np.savez(partial, sub=taught.sub, base=taught.base, weights=taught.weights)
            partial.replace(path)
        with np.load(path) as kept:
            return replace(plain, sub=kept["sub"], base=kept["base"], weights=kept["weights"])

    def _examples(self, labelled: LabelledTexts) -> Examples:
        tokens = tokenise(self._start.tokenizer, labelled.texts, self._options.max_tokens)
        return Examples.of(labelled, tokens, self._given(labelled.texts))

    def _lines(self, split: data.Split) -> Lines:
        read = data.transcripts(self._options.data, split)
        texts = [text for transcript in read for text in transcript.texts]
        tokens = tokenise(self._start.tokenizer, texts, self._options.max_tokens)
        return encode_lines(self._model, tokens, self._given(texts), read)

    def _given(self, texts: list[str] | tuple[str, ...]) -> Given:
        parts = features(texts), *self._terms.transform(texts, TERM_WIDTH)
        return Given(*(torch.from_numpy(part) for part in parts))


def _teacher(options: TrainOptions) -> Teacher:
    """Return the teacher, fine-tuned now or by an earlier run."""
    start = pretrained(str(options.teacher))
    torch.manual_seed(options.seed)
    model = EmotionModel(ModelConfig(start.backbone)).to(device())
    teacher = Teacher(model, start.tokenizer, options.max_tokens)

    def run() -> None:
        start.fill(model.encoder)
        comments = data.goemotions(options.data, "train")
        train = teacher.examples(half_heard(comments, options.seed))
        dev = teacher.examples(data.goemotions(options.data, "dev"))
        _finetuned(model, train, dev, options, options.teacher_rates)

    _phase(options, "teacher", model, run)
    return teacher


def _finetuned(
    model: EmotionModel, train: Examples, dev: Examples, options: TrainOptions, rates: Rates
) -> None:
    unfinished = options.output / "unfinished.safetensors"
    finetune(model, train, dev, rates, options.seed, lambda: save_model(model, str(unfinished)))
    unfinished.unlink(missing_ok=True)


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
