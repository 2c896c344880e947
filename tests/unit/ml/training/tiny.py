"""Models and texts small enough to train in a test."""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_model
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoConfig, AutoModel, BertConfig, BertModel, PreTrainedTokenizerFast

from ml.emotion.model import deberta
from ml.taxonomy import SUB_EMOTIONS

WORDS = {"joy": "happy", "sadness": "sad", "anger": "angry", "neutral": "table"}
FILLER = ["the", "a", "is", "and", "so", "we"]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS.values(), *FILLER]


def tokenizer() -> Tokenizer:
    """Whole words, in lower case."""
    made = Tokenizer(
        models.WordLevel({word: i for i, word in enumerate(VOCABULARY)}, unk_token="[UNK]")
    )
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return made


def minilm(folder: Path) -> Path:
    """Write a random BERT in MiniLM's layout."""
    folder.mkdir()
    config = BertConfig(
        vocab_size=64,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    torch.manual_seed(0)
    bert = BertModel(config, add_pooling_layer=False)
    for name, parameter in bert.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.5)
    save_model(bert, str(folder / "model.safetensors"))
    config.to_json_file(folder / "config.json", use_diff=False)
    tokenizer().save(str(folder / "tokenizer.json"))
    return folder


def encoder(folder: Path, seed: int = 0) -> Path:
    """Write a random DeBERTa-v3 as the Hub would hold it."""
    shape = deberta(vocab_size=64, hidden=32, layers=2, attention_heads=2, intermediate=64)
    torch.manual_seed(seed)
    AutoModel.from_config(AutoConfig.for_model(**shape)).save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer()).save_pretrained(folder)
    return folder


def texts(folder: Path) -> Path:
    """Write a data folder in which one word tells the emotion."""
    for name in ("goemotions", "xed", "tv_transcripts", "emobank"):
        (folder / name).mkdir(parents=True)
    generator = np.random.default_rng(0)

    def said(sub: str) -> str:
        return " ".join([*generator.choice(FILLER, generator.integers(1, 6)), WORDS[sub]])

    for split, count in (("train", 400), ("dev", 80), ("test", 80)):
        subs = generator.choice(list(WORDS), count)
        lines = [f"{said(sub)}\t{SUB_EMOTIONS.index(sub)}\tid" for sub in subs]
        (folder / "goemotions" / f"{split}.tsv").write_text("\n".join(lines))
    (folder / "xed" / "en-annotated.tsv").write_text(f"{said('anger')}\t1\n{said('joy')}\t5\n" * 20)
    (folder / "xed" / "neu_en.txt").write_text("9\tthe table\n" * 10)
    for index in range(8):
        # What a line feels shows in the line before it alone.
        subs = generator.choice(list(WORDS), 60)
        rows = ["start_time,end_time,text,emotion,sub-emotion,intensity"]
        rows += [
            f"0,1,{said(word)} ,x,{sub},{'intense' if sub == 'anger' else 'mild'}"
            for word, sub in zip(subs[1:], subs, strict=False)
        ]
        (folder / "tv_transcripts" / f"{index}.csv").write_text("\n".join(rows))
    rated = [f"i{i},train,3,{2 + i / 10},3,{said('anger' if i > 5 else 'joy')}" for i in range(10)]
    (folder / "emobank" / "emobank.csv").write_text("\n".join(["id,split,V,A,D,text", *rated]))
    return folder
