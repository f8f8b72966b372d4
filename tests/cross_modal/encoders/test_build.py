"""Twins on open_clip and timm trunks: an untrained one is the model itself, and a saved one needs no checkpoint."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from cross_modal.configuration import ImageTrunkConfig, PoolingConfig, TextTrunkConfig, TwinConfig
from cross_modal.encoders.build import build_twin
from cross_modal.encoders.saved_twin import load_twin, save_twin
from cross_modal.errors import CrossModalError

CAPTIONS = ["a red shoe", "a photograph of a very long and narrow street at night"]


def config(image: str, text: str, pretrained: str | None = None) -> TwinConfig:
    return TwinConfig(
        image=ImageTrunkConfig(name=image, pretrained=pretrained, channels=3),
        text=TextTrunkConfig(name=text),
        pooling=PoolingConfig(queries=2, heads=2),
        width=16,
    )


@pytest.mark.parametrize("form", ["safetensors", "pt", "folder"])
def test_an_untrained_twin_scores_what_the_pretrained_model_scores(
    tiny: SimpleNamespace, no_network: None, form: str
) -> None:
    name = f"open_clip:{tiny.name}"
    twin = build_twin(config(name, name, getattr(tiny, form))).eval()
    pixels = torch.randn(2, 3, 32, 32)
    tokens = twin.text.tokenize(CAPTIONS)
    with torch.no_grad():
        padded = F.pad(tokens, (0, tiny.model.context_length - tokens.shape[1]))
        image, text = tiny.model.encode_image(pixels), tiny.model.encode_text(padded)
        torch.testing.assert_close(twin.encode_image(pixels), F.normalize(image, dim=-1), atol=1e-5, rtol=0)
        torch.testing.assert_close(twin.encode_text(tokens), F.normalize(text, dim=-1), atol=1e-5, rtol=0)
    assert tokens.shape[1] < tiny.model.context_length
    assert twin.residual_gate.item() == 0


def test_a_saved_twin_needs_neither_checkpoint_nor_network(
    tiny: SimpleNamespace, no_network: None, tmp_path: Path
) -> None:
    name = f"open_clip:{tiny.name}"
    before = build_twin(config(name, name, tiny.folder)).eval()
    with torch.no_grad():
        before.residual_gate.fill_(0.3)
    after = load_twin(save_twin(before, tmp_path / "model"))
    pixels, tokens = torch.randn(2, 3, 32, 32), before.text.tokenize(CAPTIONS)
    assert torch.equal(before.encode_image(pixels), after.encode_image(pixels))
    assert torch.equal(before.encode_text(tokens), after.encode_text(after.text.tokenize(CAPTIONS)))
    assert after.image.mean == before.image.mean == tuple(tiny.preprocessing["mean"])


def test_two_checkpoints_for_one_model_are_refused(tiny: SimpleNamespace) -> None:
    name = f"open_clip:{tiny.name}"
    settings = config(name, name, tiny.pt)
    settings.text.pretrained = tiny.folder
    with pytest.raises(CrossModalError, match=r"twin\.text\.pretrained: expected .*both towers are one model"):
        build_twin(settings)


@pytest.mark.parametrize(("image", "text"), [("timm:resnet10t", "gru"), ("conv4", "tiny"), ("tiny", "transformer")])
def test_trunks_of_different_kinds_meet_in_one_space(
    tiny: SimpleNamespace, tmp_path: Path, image: str, text: str
) -> None:
    names = [f"open_clip:{tiny.name}" if name == "tiny" else name for name in (image, text)]
    settings = config(*names)
    settings.image.size = 32
    twin = build_twin(settings, CAPTIONS).eval()
    assert twin.residual_gate is None
    pixels = torch.randn(2, 3, 32, 32)
    assert twin.encode_image(pixels).shape == twin.encode_text(twin.text.tokenize(CAPTIONS)).shape == (2, 16)
    after = load_twin(save_twin(twin, tmp_path / "model"))
    assert torch.equal(after.encode_image(pixels), twin.encode_image(pixels))


def test_last_blocks_of_a_pretrained_model(tiny: SimpleNamespace) -> None:
    name = f"open_clip:{tiny.name}"
    settings = config(name, name, tiny.pt)
    settings.freeze = "last:1"
    twin = build_twin(settings)
    for trunk in (twin.image, twin.text):
        trainable = [any(p.requires_grad for p in block.parameters()) for block in trunk.blocks()]
        assert trainable[-1]
        assert not any(trainable[:-1])
        assert trunk.pretrained
