"""The training code from first to last, on a model and texts small enough for a test."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch: pip install 'emotion-clf[train]'")
pytest.importorskip("transformers", reason="training needs transformers")
pytest.importorskip("onnx", reason="export needs onnx")

import torch
from safetensors.torch import save_model
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel

from ml.emotion.classifier import Classifier
from ml.emotion.model import EmotionModel, ModelConfig, no_context
from ml.errors import ModelUnavailable
from ml.taxonomy import SUB_EMOTIONS
from ml.text.features import FEATURE_NAMES
from ml.training import data
from ml.training.batches import Tokens, by_length, load_tokenizer, shuffled, tokenise
from ml.training.context import dev_loss, encode_lines, train_context
from ml.training.distill import Teacher, distill
from ml.training.evaluate import evaluate
from ml.training.finetune import Examples, finetune
from ml.training.options import EvaluateOptions, TrainOptions
from ml.training.schedule import Pace
from ml.training.train import train
from ml.training.warm_start import find_base_model, shape_of, warm_start

pytestmark = pytest.mark.train

WORDS = {"joy": "happy", "sadness": "sad", "anger": "angry", "neutral": "table"}
FILLER = ["the", "a", "is", "and", "so", "we"]


@pytest.fixture(scope="module")
def base_model(tmp_path_factory) -> Path:
    """A tiny, randomly initialised BERT in the layout of the real one."""
    folder = tmp_path_factory.mktemp("base")
    config = BertConfig(
        vocab_size=64,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    torch.manual_seed(0)
    save_model(BertModel(config, add_pooling_layer=False), str(folder / "model.safetensors"))
    config.to_json_file(folder / "config.json", use_diff=False)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS.values(), *FILLER]
    tokenizer = Tokenizer(
        models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="[UNK]")
    )
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """Texts in which one word tells the emotion."""
    folder = tmp_path_factory.mktemp("data")
    for name in ("goemotions", "xed", "tv_transcripts"):
        (folder / name).mkdir()
    generator = np.random.default_rng(0)

    def said(sub):
        return " ".join([*generator.choice(FILLER, generator.integers(1, 6)), WORDS[sub]])

    for split, count in (("train", 400), ("dev", 80), ("test", 80)):
        subs = generator.choice(list(WORDS), count)
        lines = [f"{said(sub)}\t{SUB_EMOTIONS.index(sub)}\tid" for sub in subs]
        (folder / "goemotions" / f"{split}.tsv").write_text("\n".join(lines))
    (folder / "xed" / "en-annotated.tsv").write_text(f"{said('anger')}\t1\n{said('joy')}\t5\n" * 20)
    (folder / "xed" / "neu_en.txt").write_text("9\tthe table\n" * 10)
    for index in range(5):
        # What a line feels shows in the line before it alone.
        subs = generator.choice(list(WORDS), 60)
        rows = ["start_time,end_time,text,emotion,sub-emotion,intensity"]
        rows += [
            f"0,1,{said(word)} ,x,{sub},{'intense' if sub == 'anger' else 'mild'}"
            for word, sub in zip(subs[1:], subs, strict=False)
        ]
        (folder / "tv_transcripts" / f"{index}.csv").write_text("\n".join(rows))
    return folder


@pytest.fixture
def options(source, base_model, tmp_path) -> TrainOptions:
    return TrainOptions(
        data=source,
        output=tmp_path / "run",
        base_model=base_model,
        distil_steps=10,
        distil_batch=16,
        epochs=6,
        batch=16,
        encoder_rate=1e-3,
        heads_rate=3e-3,
        context_epochs=2,
    )


@pytest.fixture
def model(base_model) -> EmotionModel:
    torch.manual_seed(0)
    return EmotionModel(shape_of(base_model))


def examples(source, base_model, split) -> Examples:
    labelled = data.goemotions(source, split)
    tokenizer = load_tokenizer(base_model / "tokenizer.json")
    return Examples.of(labelled, tokenise(tokenizer, labelled.texts, 64))


def test_fine_tuning_lowers_the_loss(model, source, base_model, options):
    train_set, dev = (examples(source, base_model, split) for split in ("train", "dev"))
    losses = finetune(model, train_set, dev, options)
    assert len(losses) == 6 * 25
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:10])


def test_fine_tuning_ends_when_its_time_is_up(model, source, base_model, options):
    train_set, dev = (examples(source, base_model, split) for split in ("train", "dev"))
    short = TrainOptions(options.data, options.output, epochs=10_000, minutes=0.02)
    assert 0 < len(finetune(model, train_set, dev, short)) < 10_000


def test_distillation_approaches_the_teacher(model, source, base_model):
    tokens = examples(source, base_model, "train").tokens
    warm_start(model, base_model)
    teacher = Teacher.load(base_model)
    early = distill(model.encoder, teacher, tokens, 2, 16)
    assert distill(model.encoder, teacher, tokens, 150, 16) > early


def test_a_warm_start_without_positions_is_the_teacher(model, base_model):
    """With all position vectors equal, the two architectures compute the same."""
    teacher = Teacher.load(base_model)
    with torch.no_grad():
        positions = teacher.bert.embeddings.position_embeddings.weight
        positions.copy_(positions[:32].mean(0).expand_as(positions))
    warm_start(model, base_model)
    with torch.no_grad():
        model.encoder.deberta.encoder.LayerNorm.weight.zero_()
        ids, mask = torch.tensor([[2, 4, 8, 9, 3]]), torch.ones(1, 5, dtype=torch.long)
        expected = teacher.states(ids, mask)
        assert torch.allclose(model.encoder.eval().states(ids, mask), expected, atol=1e-4)


def test_context_learns_from_neighbours(model, source, base_model):
    tokenizer = load_tokenizer(base_model / "tokenizer.json")
    lines, dev = (
        encode_lines(model, tokenizer, data.transcripts(source, split), 64)
        for split in ("train", "dev")
    )
    before = dev_loss(model.heads, dev)
    losses = train_context(model.heads, lines, dev, 30, 0)
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    assert dev_loss(model.heads, dev) < before


def test_a_sentence_alone_passes_the_context_unchanged(model):
    torch.nn.init.normal_(model.heads.context.output.weight)
    pooled = torch.randn(4, model.config.hidden)
    context, mask = no_context(pooled, model.config)
    assert torch.equal(model.heads.context(pooled, context, mask), pooled)
    mask[:, 0] = 1
    assert not torch.allclose(model.heads.context(pooled, context + 1, mask), pooled)


def test_more_than_moderate_is_never_likelier_than_more_than_mild(model):
    torch.nn.init.normal_(model.heads.intensity.steps, std=5)
    degree = model.heads.intensity(torch.randn(50, model.config.hidden // 4) * 10)
    assert (degree[:, 0] >= degree[:, 1]).all()


def test_the_whole_run(options):
    folder = train(options)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["goemotions_test"]["base_accuracy"] > 0.9
    classifier = Classifier(folder)
    assert classifier.predict(["we is happy"])[0].emotion == "happiness"
    assert classifier.predict(["the table"], use_features=False)[0].emotion == "neutral"
    alone = classifier.predict(["so sad"])[0].sub_emotions["sadness"]
    assert alone == pytest.approx(as_torch_sees_it(options, "so sad", "sadness"), abs=0.1)
    kept = {path: path.stat().st_mtime_ns for path in options.output.glob("*.safetensors")}
    assert len(kept) == 3
    train(options)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    again = evaluate(EvaluateOptions(options.data, folder, limit=20))
    assert again["goemotions_test"]["sentences"] == 20


def as_torch_sees_it(options, text, sub) -> float:
    """Return the fp32 model's probability, with the temperature of the checkpoint."""
    from safetensors.torch import load_model

    from ml.emotion.checkpoint import Checkpoint
    from ml.text.features import features

    model = EmotionModel(shape_of(options.base_model))
    load_model(model, options.output / "contextual.safetensors")
    tokens = tokenise(load_tokenizer(options.base_model / "tokenizer.json"), [text], 64)
    with torch.no_grad():
        ids, mask = tokens.batch(np.array([0]))
        logits = model.eval()(ids, mask, torch.from_numpy(features([text])))
    heat = Checkpoint.load(options.output / "checkpoint").temperatures["sub"]
    return float((logits.sub[0, SUB_EMOTIONS.index(sub)] / heat).sigmoid())


def test_a_base_model_that_lacks_files_is_named(tmp_path):
    with pytest.raises(ModelUnavailable, match=r"config\.json"):
        find_base_model(tmp_path)


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


def test_the_default_shape_has_no_features_switched_in():
    assert ModelConfig().features == 0
    assert ModelConfig(features=len(FEATURE_NAMES)).neighbours == 6
