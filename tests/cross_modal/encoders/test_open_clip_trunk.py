"""The trunks give open_clip's own embeddings, whatever the tower, and text on its real length where that is exact."""

import copy
import json

import open_clip
import pytest
import torch

from cross_modal.encoders.open_clip_model import OpenClipModel
from cross_modal.encoders.open_clip_trunk import OpenClipTextTrunk, load_open_clip
from cross_modal.errors import CrossModalError

# name → is the text computed on its real length, picture tokens, how many of them are no place
MODELS = {
    "ViT-B-32": (True, (50, 768), 1),
    "RN50": (True, (49, 2048), 0),
    "coca_ViT-B-32": (False, (255, 512), None),
    "ViT-B-16-SigLIP": (False, (196, 768), 0),
    "MobileCLIP2-S0": (False, (64, 1024), 0),
}


def ids(vocabulary: int, context: int, lengths: tuple[int, ...] = (5, 9, 3), pad: int = 0) -> torch.Tensor:
    """Rows of `lengths` tokens, the last of them the vocabulary's largest id, as CLIP's tokenizer ends its texts."""
    generator = torch.Generator().manual_seed(1)
    rows = torch.full((len(lengths), context), pad)
    for row, length in zip(rows, lengths, strict=True):
        row[: length - 1] = torch.randint(2, vocabulary - 2, (length - 1,), generator=generator)
        row[length - 1] = vocabulary - 1
    return rows


@pytest.fixture(scope="module", params=list(MODELS))
def pair(request):
    """A model's trunks, and open_clip's own model with the same random weights."""
    torch.manual_seed(0)
    image, text = load_open_clip(request.param)
    reference = open_clip.create_model(request.param).eval()
    reference.visual.load_state_dict(image.tower.state_dict())
    found = getattr(reference, "text", reference).load_state_dict(text.tower.state_dict(), strict=False)
    assert not found.unexpected_keys
    return request.param, image.eval(), text.eval(), reference


@torch.no_grad()
def test_text_is_the_models_own(pair):
    name, _, text, reference = pair
    tokens = ids(text.tower.vocab_size, text.context)
    found = text(tokens)
    assert text.short == MODELS[name][0]
    assert found.values.shape == (3, 9 if text.short else text.context, text.width)
    assert found.mask.sum(1).tolist() == [5, 9, 3]
    assert found.pooled.shape == (3, text.pooled_width)
    torch.testing.assert_close(found.pooled, reference.encode_text(tokens, normalize=False), atol=1e-5, rtol=0)


@torch.no_grad()
def test_picture_is_the_models_own(pair):
    name, image, _, reference = pair
    pixels = torch.randn(2, 3, image.size, image.size)
    found = image(pixels)
    _, shape, prefix = MODELS[name]
    assert found.values.shape == (2, *shape)
    assert found.values.shape[2] == image.width
    assert image.prefix_tokens == prefix
    assert found.mask.all()
    torch.testing.assert_close(found.pooled, reference.encode_image(pixels, normalize=False), atol=1e-5, rtol=0)


def test_blocks_end_with_what_stands_above(pair):
    _, image, text, _ = pair
    for trunk in (image, text):
        blocks = trunk.blocks()
        parameters = [id(p) for block in blocks for p in block.parameters()]
        assert len(blocks) > 3
        assert len(parameters) == len(set(parameters))
        assert set(parameters) <= {id(p) for p in trunk.parameters()}
    top = {id(p) for p in text.blocks()[-1].parameters()}
    projection = text.tower.text_projection
    projection = projection.weight if isinstance(projection, torch.nn.Linear) else projection
    assert projection is None or id(projection) in top


def test_gradients_reach_the_tokens(pair):
    _, _, text, _ = pair
    found = text(ids(text.tower.vocab_size, text.context))
    (found.values.square().mean() + found.pooled.square().mean()).backward()
    assert text.tower.token_embedding.weight.grad is not None
    text.zero_grad()


@torch.no_grad()
def test_states_do_not_depend_on_the_padding(tiny):
    _, text = load_open_clip(tiny.name, tiny.safetensors)
    text.eval()
    tokens = ids(49408, 77, (4, 7))
    long, short = text(tokens), text(tokens[:1, :4])
    torch.testing.assert_close(long.values[:1, :4], short.values, atol=1e-5, rtol=0)
    torch.testing.assert_close(long.pooled[:1], short.pooled, atol=1e-5, rtol=0)


@torch.no_grad()
def test_end_token_pooling(tiny):
    """Towers that look for an end token of their own, also where a text has none."""
    cfg = copy.deepcopy(tiny.cfg)
    cfg["text_cfg"] |= {"pool_type": "eos", "eos_id": 2}
    reference = open_clip.CustomTextCLIP(**cfg).eval()
    model = OpenClipModel("eos", reference.visual, copy.deepcopy(reference.text), cfg, {})
    text = OpenClipTextTrunk(model).eval()
    tokens = torch.full((3, 77), 1)
    tokens[0, :5] = torch.tensor([0, 40, 30, 20, 2])
    tokens[1, :3] = torch.tensor([0, 70, 2])
    tokens[2, :9] = torch.arange(10, 19)  # no end token
    found = text(tokens)
    assert text.short
    assert found.mask.sum(1).tolist() == [5, 3, 9]
    torch.testing.assert_close(found.pooled, reference.encode_text(tokens), atol=1e-5, rtol=0)


def test_tokenize_cuts_to_the_longest_text(tiny):
    _, text = load_open_clip(tiny.name)
    texts = ["a cat", "a photograph of a small dog"]
    tokens = text.tokenize(texts)
    expected = open_clip.get_tokenizer(tiny.name)(texts)
    assert tokens.shape == (2, 8)
    assert torch.equal(tokens, expected[:, :8])
    assert not expected[:, 8:].any()
    assert text.tokenize(["word " * 200]).shape == (1, 77)


def test_full_context_is_asked_for_where_padding_takes_part(pair):
    name, _, text, _ = pair
    wrong = text.context + 1 if MODELS[name][0] else text.context - 1
    with pytest.raises(CrossModalError, match=rf"open_clip:{name}: expected token ids .*found \(2, {wrong}\)"):
        text(torch.zeros(2, wrong, dtype=torch.long))


@torch.no_grad()
def test_padding_by_another_id_is_no_token(tiny):
    """SigLIP pads with 1, its end token; the configuration does not say so."""
    cfg = copy.deepcopy(tiny.cfg)
    cfg["text_cfg"] |= {"no_causal_mask": True, "pool_type": "last"}
    tower = open_clip.CustomTextCLIP(**cfg)
    text = OpenClipTextTrunk(OpenClipModel("siglip", tower.visual, tower.text, cfg, {}))
    assert text(ids(49408, 77, (4, 6), pad=1)).mask.sum(1).tolist() == [4, 6]
    assert text(ids(49408, 77, (4, 77), pad=1)).mask.sum(1).tolist() == [4, 77]
    assert text(torch.ones(1, 77, dtype=torch.long)).mask.sum() == 1


@torch.no_grad()
@pytest.mark.parametrize("form", ["safetensors", "pt", "folder"])
def test_weights_from_disk(tiny, form, no_network):
    image, text = load_open_clip(tiny.name, getattr(tiny, form))
    pixels, tokens = torch.randn(2, 3, 32, 32), ids(49408, 77)
    assert image.pretrained
    assert text.pretrained
    torch.testing.assert_close(image.eval()(pixels).pooled, tiny.model.encode_image(pixels), atol=1e-5, rtol=0)
    torch.testing.assert_close(text.eval()(tokens).pooled, tiny.model.encode_text(tokens), atol=1e-5, rtol=0)
    assert image.mean == (tuple(tiny.preprocessing["mean"]) if form == "folder" else open_clip.OPENAI_DATASET_MEAN)
    assert image.resize == ("squash" if form == "folder" else "crop")
    assert image.interpolation == ("bilinear" if form == "folder" else "bicubic")


@torch.no_grad()
def test_state_rebuilds_without_the_checkpoint(tiny, no_network):
    image, text = load_open_clip("any name: the folder's own configuration wins", tiny.folder, context=20)
    state = json.loads(json.dumps(text.state()))
    image_again, text_again = load_open_clip("elsewhere", None, state=state)
    image_again.load_state_dict(image.state_dict())
    text_again.load_state_dict(text.state_dict())
    pixels, tokens = torch.randn(2, 3, 32, 32), ids(49408, 20)
    assert torch.equal(image(pixels).pooled, image_again(pixels).pooled)
    assert torch.equal(text(tokens).pooled, text_again(tokens).pooled)
    assert (image_again.mean, image_again.size, image_again.resize) == (image.mean, image.size, image.resize)
    assert (text_again.context, text_again.pretrained) == (20, True)


def test_another_size(tiny):
    image, _ = load_open_clip(tiny.name, tiny.pt, size=64)
    assert image.size == 64
    assert image(torch.zeros(1, 3, 64, 64)).values.shape == (1, 17, 64)


def test_trunks_share_nothing(tiny):
    image, text = load_open_clip(tiny.name)
    assert not image.pretrained
    assert not {id(p) for p in image.parameters()} & {id(p) for p in text.parameters()}
