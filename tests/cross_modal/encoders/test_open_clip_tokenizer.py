"""Tokenizers and text towers from Hugging Face: from a local folder, without network, and without transformers."""

import copy
import json
import sys

import pytest
import torch
from safetensors.torch import save_file

from cross_modal.encoders.open_clip_model import build_open_clip_model
from cross_modal.encoders.open_clip_tokenizer import OpenClipTokenizer
from cross_modal.encoders.open_clip_trunk import load_open_clip
from cross_modal.errors import CrossModalError

ROBERTA = {
    "model_type": "roberta", "vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 32, "max_position_embeddings": 40, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny):
    """A model whose tokenizer and text tower come from Hugging Face, with all its files."""
    import open_clip
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, RobertaConfig

    path = tmp_path_factory.mktemp("hf")
    words = {word: i for i, word in enumerate(["<s>", "<pad>", "</s>", "<unk>", "a", "small", "cat", "dog"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    ).save_pretrained(path)
    RobertaConfig(**{k: v for k, v in ROBERTA.items() if k != "model_type"}).save_pretrained(path)
    cfg = copy.deepcopy(tiny.cfg)
    cfg["text_cfg"] = {
        "hf_model_name": "nobody/not-a-repository",
        "hf_tokenizer_name": "nobody/not-a-repository",
        "context_length": 12,
        "hf_pooler_type": "mean_pooler",
        "hf_proj_type": "mlp",
    }
    (path / "open_clip_config.json").write_text(json.dumps({"model_cfg": cfg}))
    local = copy.deepcopy(cfg)
    local["text_cfg"] |= {"hf_model_name": str(path), "hf_model_pretrained": False}
    torch.manual_seed(0)
    save_file(open_clip.CustomTextCLIP(**local).state_dict(), path / "open_clip_model.safetensors")
    return path


@torch.no_grad()
def test_local_folder(folder, no_network):
    _, text = load_open_clip("hf", str(folder))
    text.eval()
    tokens = text.tokenize(["a small cat", "dog"])
    assert tokens.tolist() == [[0, 4, 5, 6, 2], [0, 7, 2, 1, 1]]
    found = text(tokens)
    padded = torch.nn.functional.pad(tokens, (0, 7), value=1)
    expected, _ = text.tower(padded)
    assert found.mask.tolist() == [[True] * 5, [True] * 3 + [False] * 2]
    assert found.values.shape == (2, 5, text.width)
    torch.testing.assert_close(found.pooled, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(text(padded).pooled, expected, atol=1e-5, rtol=0)
    assert len(text.blocks()) == 2


@torch.no_grad()
def test_saved_state_needs_neither_folder_nor_network(folder, no_network):
    _, text = load_open_clip("hf", str(folder))
    state = json.loads(json.dumps(text.state()))
    state["tokenizer_files"]["../../escape.json"] = "{}"  # a file name from elsewhere stays inside its folder
    _, again = load_open_clip("hf", state=state)
    again.load_state_dict(text.state_dict())
    texts = ["a small cat", "dog"]
    assert torch.equal(again.tokenize(texts), text.tokenize(texts))
    assert torch.equal(again.eval()(again.tokenize(texts)).pooled, text.eval()(text.tokenize(texts)).pooled)


def test_tokenizer_that_is_not_there(monkeypatch, tmp_path, no_network):
    tokenizer = OpenClipTokenizer("X", {"hf_tokenizer_name": "nobody/not-a-repository", "context_length": 8})
    with pytest.raises(
        CrossModalError, match="open_clip:X: expected the tokenizer nobody/not-a-repository in the folder"
    ):
        tokenizer(["a"])
    assert tokenizer.files() is None


def test_without_transformers(monkeypatch, folder):
    monkeypatch.setitem(sys.modules, "transformers", None)
    line = r"needs the extra hf: pip install 'cross-modal\[hf\]'$"
    with pytest.raises(CrossModalError, match="open_clip:hf: its text tower " + line):
        build_open_clip_model("hf", str(folder))
    with pytest.raises(CrossModalError, match="open_clip:X: its tokenizer " + line):
        OpenClipTokenizer("X", {"hf_tokenizer_name": "a/b"})(["a"])


def test_text_tower_that_is_not_there(folder, no_network, tiny):
    name = "roberta-ViT-B-32"
    with pytest.raises(
        CrossModalError, match=f"open_clip:{name}: expected the config.json of roberta-base in the folder"
    ):
        build_open_clip_model(name)


def test_clips_own_tokenizer_has_no_files():
    tokenizer = OpenClipTokenizer("X", {"context_length": 10})
    assert tokenizer.files() is None
    assert tokenizer(["a cat"]).tolist() == [[49406, 320, 2368, 49407] + [0] * 6]


@torch.no_grad()
def test_tokens_of_hugging_face_say_their_letters(folder, no_network):
    _, text = load_open_clip("hf", str(folder))
    spans = text.token_spans("a small  cat")
    assert spans.pieces == ("<s>", "a", "small", "cat", "</s>")
    assert spans.words == (("a", (1,)), ("small", (2,)), ("cat", (3,)))
    assert len(spans) == text.eval()(text.tokenize(["a small  cat"])).values.shape[1]
