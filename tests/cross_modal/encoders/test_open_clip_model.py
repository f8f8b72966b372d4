"""Where an open_clip model comes from, and what is said of a name, tag, file or folder that is not one."""

import copy
import json

import pytest
import torch
from safetensors.torch import save_file

from cross_modal.encoders.open_clip_model import build_open_clip_model
from cross_modal.encoders.open_clip_trunk import load_open_clip
from cross_modal.errors import CrossModalError


def refused(*arguments: object, **options: object) -> str:
    """The one line with which building is refused."""
    with pytest.raises(CrossModalError) as caught:
        build_open_clip_model(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_unknown_name_lists_the_closest():
    line = refused("ViT-B32")
    assert line.startswith("open_clip:ViT-B32:")
    assert "ViT-B-32" in line


def test_unknown_tag_lists_the_tags(no_network):
    line = refused("ViT-B-32", "laion2b_typo")
    assert "laion2b_s34b_b79k" in line
    assert "'laion2b_typo'" in line


def test_tag_that_cannot_be_fetched(monkeypatch):
    def download(_: object) -> str:
        raise OSError("no\nroute")

    monkeypatch.setattr("open_clip.download_pretrained", download)
    assert "could not fetch the weights 'openai' (OSError: no route)" in refused("ViT-B-32", "openai")


def test_tag_brings_its_preprocessing_and_activation(monkeypatch, tiny):
    entry = {"hf_hub": "x/", "mean": (0.1, 0.1, 0.1), "std": (0.2, 0.2, 0.2), "quick_gelu": True}
    monkeypatch.setattr("open_clip.get_pretrained_cfg", lambda *_: entry)
    monkeypatch.setattr("open_clip.download_pretrained", lambda _: tiny.pt)
    model = build_open_clip_model(tiny.name, "tag")
    assert model.preprocess_cfg["mean"] == (0.1, 0.1, 0.1)
    assert model.model_cfg["quick_gelu"]
    assert type(model.text.transformer.resblocks[0].mlp.gelu).__name__ == "QuickGELU"
    assert model.pretrained
    assert model.online


def test_hostile_checkpoint_is_refused_and_not_run(tiny, hostile):
    line = refused(tiny.name, hostile.path)
    assert hostile.path in line
    assert "tensors only" in line
    assert not hostile.trace.exists()


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_damaged_file(tiny, tmp_path, suffix):
    path = tmp_path / f"weights.{suffix}"
    path.write_bytes(b"not weights at all")
    assert str(path) in refused(tiny.name, str(path))


def test_weights_of_another_model(tiny, tmp_path):
    save_file({"fc.weight": torch.zeros(2, 2)}, tmp_path / "other.safetensors")
    line = refused(tiny.name, str(tmp_path / "other.safetensors"))
    assert f"expected weights of open_clip:{tiny.name}, found Missing key(s)" in line


def test_folder_without_weights(tiny, tmp_path):
    assert "found none" in refused(tiny.name, str(tmp_path))


def test_folder_with_one_pt_file_and_no_configuration(tiny, tmp_path):
    torch.save({"state_dict": tiny.model.state_dict()}, tmp_path / "epoch_3.pt")
    assert build_open_clip_model(tiny.name, str(tmp_path)).pretrained


@pytest.mark.parametrize("content", ["{", "[]", '{"model_cfg": {}}', '{"model_cfg": {"vision_cfg": {}}}'])
def test_folder_with_a_bad_configuration(tiny, tmp_path, content):
    (tmp_path / "open_clip_config.json").write_text(content)
    save_file(tiny.model.state_dict(), tmp_path / "open_clip_model.safetensors")
    assert "open_clip_config.json: expected open_clip's model_cfg" in refused(tiny.name, str(tmp_path))


def test_random_weights_use_no_network(tiny, no_network):
    assert not build_open_clip_model(tiny.name).pretrained


def test_timm_tower_of_another_size(tiny, tmp_path):
    """Weights at the tower's own size, input at another: positions are resized after loading."""
    cfg = copy.deepcopy(tiny.cfg)
    cfg["vision_cfg"] = {"timm_model_name": "test_vit", "timm_pool": "token", "timm_proj": "linear", "image_size": 160}
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": cfg}))
    import open_clip

    save_file(open_clip.CustomTextCLIP(**cfg).state_dict(), tmp_path / "model.safetensors")
    image, text = load_open_clip("x", str(tmp_path), size=64)
    found = image(torch.zeros(1, 3, 64, 64))
    assert image.size == 64
    assert found.values.shape == (1, 17, 64)
    assert image.prefix_tokens == 1
    again, _ = load_open_clip("x", state=text.state())
    again.load_state_dict(image.state_dict())
    assert torch.equal(again.eval()(torch.ones(1, 3, 64, 64)).pooled, image.eval()(torch.ones(1, 3, 64, 64)).pooled)
