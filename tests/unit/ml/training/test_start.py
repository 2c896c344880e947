"""Where training starts."""

import json

import pytest

pytest.importorskip("torch", reason="training needs torch: pip install 'emotion-clf[train]'")
pytest.importorskip("transformers", reason="training needs transformers")

import torch
from safetensors.torch import load_file
from transformers import BertConfig, BertModel

from ml.emotion.model import Encoder
from ml.errors import ModelUnavailable
from ml.training.start import minilm, pretrained
from tests.unit.ml.training import tiny

pytestmark = pytest.mark.train

IDS = torch.tensor([[2, 4, 8, 9, 5, 3]])
MASK = torch.ones_like(IDS)


@pytest.fixture
def bert_folder(tmp_path):
    return tiny.minilm(tmp_path / "minilm")


def test_at_first_the_student_says_what_minilm_says(bert_folder):
    start = minilm(bert_folder)
    student = Encoder(start.backbone).eval()
    start.fill(student)
    bert = BertModel(
        BertConfig.from_json_file(str(bert_folder / "config.json")), add_pooling_layer=False
    ).eval()
    bert.load_state_dict(load_file(bert_folder / "model.safetensors"))
    with torch.no_grad():
        expected = bert(IDS, MASK).last_hidden_state
        assert torch.allclose(student.states(IDS, MASK), expected, atol=0.05)
        student.backbone.encoder.LayerNorm.weight.zero_()
        assert torch.allclose(student.states(IDS, MASK), expected, atol=1e-4)


def test_distances_can_be_learned(bert_folder):
    start = minilm(bert_folder)
    student = Encoder(start.backbone)
    start.fill(student)
    student(IDS, MASK).square().sum().backward()
    assert student.backbone.encoder.rel_embeddings.weight.grad.abs().sum() > 0


def test_any_encoder_of_the_hub_will_do(tmp_path):
    start = pretrained(str(tiny.encoder(tmp_path / "encoder")))
    student = Encoder(start.backbone).eval()
    start.fill(student)
    assert start.tokenizer.encode("we is happy").tokens == ["[CLS]", "we", "is", "happy", "[SEP]"]
    assert student(IDS, MASK).shape == (1, 32)


def test_an_encoder_may_have_its_tokenizer_as_the_published_deberta_have_it(tmp_path):
    """Their repositories hold ``spm.model`` and no ``tokenizer.json``."""
    sentencepiece = pytest.importorskip("sentencepiece")
    folder = tiny.encoder(tmp_path / "encoder")
    (folder / "tokenizer.json").unlink()
    settings = {"do_lower_case": False, "vocab_type": "spm"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([" ".join(tiny.VOCABULARY[4:])] * 20),
        model_prefix=str(folder / "spm"),
        model_type="unigram",
        vocab_size=40,
        pad_id=0,
        bos_id=1,
        eos_id=2,
        unk_id=3,
        bos_piece="[CLS]",
        eos_piece="[SEP]",
        pad_piece="[PAD]",
        unk_piece="[UNK]",
        hard_vocab_limit=False,
        minloglevel=2,
    )
    start = pretrained(str(folder))
    read = start.tokenizer.encode("we is happy")
    assert (read.tokens[0], read.tokens[-1]) == ("[CLS]", "[SEP]")
    assert "".join(read.tokens[1:-1]) == "\u2581we\u2581is\u2581happy"
    assert max(read.ids) < start.backbone["vocab_size"]


def test_an_encoder_that_lacks_weights_is_named(tmp_path):
    folder = tiny.encoder(tmp_path / "encoder")
    settings = json.loads((folder / "config.json").read_text()) | {"num_hidden_layers": 3}
    (folder / "config.json").write_text(json.dumps(settings))
    with pytest.raises(ModelUnavailable, match=r"layer\.2"):
        pretrained(str(folder))


def test_an_encoder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ModelUnavailable, match="nowhere"):
        pretrained(str(tmp_path / "nowhere"))


def test_a_base_model_that_lacks_files_is_named(tmp_path):
    with pytest.raises(ModelUnavailable, match=r"config\.json"):
        minilm(tmp_path)


def test_weights_that_are_missing_are_named(bert_folder):
    start = minilm(bert_folder)
    other = Encoder({**start.backbone, "num_hidden_layers": 3})
    with pytest.raises(ModelUnavailable, match=r"layer\.2"):
        start.fill(other)
