"""The training code from first to last, on models and texts small enough for a test."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch: pip install 'emotion-clf[train]'")
pytest.importorskip("transformers", reason="training needs transformers")
pytest.importorskip("onnx", reason="export needs onnx")

import torch

from ml.corpora import data
from ml.emotion.classifier import Classifier
from ml.emotion.model import EmotionModel, Given, ModelConfig, no_context
from ml.errors import OptionInvalid
from ml.evaluation.evaluate import evaluate
from ml.evaluation.options import EvaluateOptions
from ml.training.batches import Tokens, by_length, shuffled, tokenise
from ml.training.context import dev_loss, encode_lines, train_context
from ml.training.finetune import Examples, finetune
from ml.training.options import Rates, TrainOptions
from ml.training.schedule import Pace
from ml.training.start import pretrained
from ml.training.teacher import Teacher
from ml.training.train import train
from tests.unit.ml.training import tiny

pytestmark = pytest.mark.train

RATES = Rates(epochs=4, batch=16, encoder_rate=1e-3, heads_rate=3e-3)
LONGEST = 64


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    return tiny.texts(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> Path:
    return tiny.encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture
def options(source, encoder, tmp_path) -> TrainOptions:
    return TrainOptions(
        source,
        tmp_path / "run",
        backbone=str(encoder),
        teacher=str(encoder),
        student_rates=RATES,
        teacher_rates=RATES,
        context_epochs=2,
    )


@pytest.fixture
def model(encoder) -> EmotionModel:
    torch.manual_seed(0)
    return EmotionModel(ModelConfig(pretrained(str(encoder)).backbone))


def examples(source, model, split) -> Examples:
    return Teacher(model, tiny.tokenizer(), LONGEST).examples(data.goemotions(source, split))


def test_fine_tuning_lowers_the_loss(model, source):
    losses = finetune(
        model, examples(source, model, "train"), examples(source, model, "dev"), RATES, 0
    )
    assert len(losses) == 4 * 25
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:10])


def test_fine_tuning_ends_when_its_time_is_up(model, source):
    train_set, dev = (examples(source, model, split) for split in ("train", "dev"))
    rates = replace(RATES, epochs=10_000, minutes=0.02)
    assert 0 < len(finetune(model, train_set, dev, rates, 0)) < 10_000


def test_a_teacher_labels_what_nobody_labelled(model, source):
    teacher = Teacher(model, tiny.tokenizer(), LONGEST)
    comments = data.goemotions(source, "train")
    finetune(model, teacher.examples(comments), examples(source, model, "dev"), RATES, 0)
    nobody = replace(comments, weights=np.zeros_like(comments.weights))
    told = teacher.opinion(nobody, trust=0.5)
    assert np.mean(told.base.argmax(1) == comments.base.argmax(1)) > 0.9
    assert (told.weights[:, :2] == 1).all()
    assert np.allclose(told.base.sum(1), 1, atol=1e-5)


def test_labels_keep_the_share_that_they_are_trusted_with(model, source):
    teacher = Teacher(model, tiny.tokenizer(), LONGEST)
    comments = data.goemotions(source, "dev")
    assert np.allclose(teacher.opinion(comments, trust=1.0).sub, comments.sub)
    alone, half = (teacher.opinion(comments, trust) for trust in (0.0, 0.5))
    assert np.allclose(half.sub, (alone.sub + comments.sub) / 2, atol=1e-6)


def test_context_learns_from_neighbours(model, source):
    lines, dev = (lines_of(model, data.transcripts(source, split)) for split in ("train", "dev"))
    before = dev_loss(model.heads, dev)
    losses = train_context(model.heads, lines, dev, 30, 0)
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    assert dev_loss(model.heads, dev) < before


def lines_of(model, read):
    texts = [text for transcript in read for text in transcript.texts]
    tokens = tokenise(tiny.tokenizer(), texts, LONGEST)
    return encode_lines(model, tokens, nothing(len(texts)), read)


def nothing(rows: int) -> Given:
    ids = torch.zeros(rows, 1, dtype=torch.int64)
    return Given(torch.zeros(rows, 0), ids, torch.zeros(rows, 1))


def test_a_sentence_alone_passes_the_context_unchanged(model):
    torch.nn.init.normal_(model.heads.context.output.weight)
    pooled = torch.randn(4, model.config.hidden)
    context, mask = no_context(pooled, model.config)
    assert torch.equal(model.heads.context(pooled, context, mask), pooled)
    mask[:, 0] = 1
    assert not torch.allclose(model.heads.context(pooled, context + 1, mask), pooled)


def test_no_term_says_nothing(model):
    model = EmotionModel(replace(model.config, terms=5))
    torch.nn.init.normal_(model.heads.term_output.weight)
    pooled = torch.randn(2, model.config.hidden)
    alone = (pooled, *no_context(pooled, model.config))
    heads = model.heads.eval()
    silent = heads(*alone, *nothing(2))
    padded = Given(
        torch.zeros(2, 0), torch.tensor([[0, 0], [3, 0]]), torch.tensor([[0, 0], [1, 0]])
    )
    told = heads(*alone, *padded)
    assert torch.allclose(silent.sub[0], told.sub[0])
    assert not torch.allclose(silent.sub[1], told.sub[1])


def test_more_than_moderate_is_never_likelier_than_more_than_mild(model):
    torch.nn.init.normal_(model.heads.intensity.steps, std=5)
    degree = model.heads.intensity(torch.randn(50, model.config.hidden // 4) * 10)
    assert (degree[:, 0] >= degree[:, 1]).all()


def test_the_whole_run(options):
    folder = train(options)
    assert json.loads((folder / "metrics.json").read_text())
    classifier = Classifier(folder)
    assert classifier.predict(["we is happy"])[0].emotion == "happiness"
    assert classifier.predict(["the table"], use_features=False)[0].emotion == "neutral"
    kept = {path: path.stat().st_mtime_ns for path in options.output.glob("*.safetensors")}
    assert {path.stem for path in kept} == {"teacher", "finetuned", "contextual"}
    train(options)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    with pytest.raises(OptionInvalid, match="other options"):
        train(replace(options, seed=1))
    assert evaluate(EvaluateOptions(options.data, folder, limit=20))


def test_batches_hold_every_row_once():
    tokens = Tokens(tuple(np.ones(n % 7 + 1, np.int64) for n in range(1_003)))
    for rows in (shuffled(tokens, 16, np.random.default_rng(0)), by_length(tokens, 16)):
        assert sorted(np.concatenate(list(rows)).tolist()) == list(range(1_003))


def test_padding_is_masked():
    tokens = Tokens((np.array([5, 6, 7]), np.array([8])))
    ids, mask = tokens.batch(np.array([0, 1]))
    assert ids.tolist() == [[5, 6, 7], [8, 0, 0]]
    assert mask.tolist() == [[1, 1, 1], [1, 0, 0]]


def test_the_learning_rate_rises_and_falls():
    pace = Pace(100)
    rates = []
    for _ in range(100):
        rates.append(pace.rate())
        pace.advance()
    assert 0 < rates[0] < max(rates) <= 1
    assert rates[-1] < 0.02
    assert pace.rate() == 0
