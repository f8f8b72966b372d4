"""Every layout in which timm models give their features becomes tokens; weights from disk; bad names and files."""

import json
from types import SimpleNamespace

import pytest
import timm
import torch
from safetensors.torch import save_file

from cross_modal.encoders.timm_trunk import TimmTrunk, flatten_features
from cross_modal.errors import CrossModalError


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "shape", "prefix"),
    [
        ("test_resnet", (25, 96), 0),  # NCHW
        ("swin_tiny_patch4_window7_224", (49, 768), 0),  # NHWC
        ("test_vit", (101, 64), 1),  # NLC with a class token
        ("test_vit3", (101, 96), 1),  # NLC, pooled by attention
        ("deit_tiny_distilled_patch16_224", (198, 192), 2),
        ("crossvit_tiny_240", (598, 288), 0),  # two branches
        ("selecsls42", (16, 1280), 0),  # what it calls head makes its features
        ("coat_tiny", (1032, 456), 0),  # features wider than num_features
    ],
)
def test_layouts(name, shape, prefix):
    trunk = TimmTrunk(name).eval()
    found = trunk(torch.randn(2, 3, trunk.size, trunk.size))
    assert found.values.shape == (2, *shape)
    assert trunk.width == shape[1]
    assert trunk.prefix_tokens == prefix
    assert found.mask.shape == found.values.shape[:2]
    assert found.mask.all()
    assert found.pooled is None
    assert not trunk.pretrained


@pytest.mark.parametrize("layout", ["NCHW", "NHWC", "undeclared NHWC"])
def test_maps_are_read_row_by_row(layout):
    channels_last = torch.randn(2, 4, 4, 3)
    features = channels_last.permute(0, 3, 1, 2) if layout == "NCHW" else channels_last
    model = SimpleNamespace(num_features=3, **({"output_fmt": layout} if len(layout) == 4 else {}))
    assert torch.equal(flatten_features(features, model, "x"), channels_last.reshape(2, 16, 3))


def test_tokens_with_channels_first():
    assert flatten_features(torch.zeros(2, 3, 5), SimpleNamespace(num_features=3), "x").shape == (2, 5, 3)


def test_branches_have_columns_of_their_own():
    found = flatten_features([torch.ones(1, 2, 1), torch.ones(1, 1, 2)], SimpleNamespace(num_features=3), "x")
    assert found.tolist() == [[[1, 0, 0], [1, 0, 0], [0, 1, 1]]]


@pytest.mark.parametrize("name", ["test_resnet", "test_vit2", "test_convnext", "test_efficientnet"])
def test_blocks_hold_every_parameter_once(name):
    trunk = TimmTrunk(name)
    blocks = trunk.blocks()
    found = [id(p) for block in blocks for p in block.parameters()]
    assert len(blocks) >= 5
    assert sorted(found) == sorted(id(p) for p in trunk.parameters())


def test_no_parameter_is_left_without_gradient():
    for name in ("test_convnext", "test_vit2", "mobilenetv3_small_050"):
        trunk = TimmTrunk(name)
        trunk(torch.randn(2, 3, trunk.size, trunk.size)).values.square().mean().backward()
        assert [key for key, p in trunk.named_parameters() if p.grad is None] == []


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A timm model with its classifier, and a folder as timm's hub has it."""
    torch.manual_seed(0)
    model = timm.create_model("test_vit").eval()
    folder = tmp_path_factory.mktemp("timm")
    save_file(model.state_dict(), folder / "model.safetensors")
    torch.save({"state_dict": model.state_dict()}, folder.parent / "test_vit.pth")
    config = {"architecture": "test_vit", "pretrained_cfg": {"mean": [0.1, 0.2, 0.3], "std": [1, 1, 1]}}
    (folder / "config.json").write_text(json.dumps(config))
    return model, folder


@torch.no_grad()
@pytest.mark.parametrize("form", ["file", "pickle", "folder"])
def test_weights_from_disk(checkpoint, form, no_network):
    model, folder = checkpoint
    paths = {"file": folder / "model.safetensors", "pickle": folder.parent / "test_vit.pth", "folder": folder}
    trunk = TimmTrunk("test_vit", str(paths[form])).eval()
    pixels = torch.randn(1, 3, 160, 160)
    assert torch.equal(trunk(pixels).values, model.forward_features(pixels))
    assert trunk.pretrained
    assert trunk.mean == ((0.1, 0.2, 0.3) if form == "folder" else tuple(model.pretrained_cfg["mean"]))


@torch.no_grad()
def test_state_rebuilds_without_the_checkpoint(checkpoint, no_network):
    trunk = TimmTrunk("test_vit", str(checkpoint[1]), size=96).eval()
    again = TimmTrunk("test_vit", "gone", state=json.loads(json.dumps(trunk.state()))).eval()
    again.load_state_dict(trunk.state_dict())
    pixels = torch.randn(1, 3, 96, 96)
    assert torch.equal(again(pixels).values, trunk(pixels).values)
    assert (again.mean, again.std, again.resize, again.pretrained) == (trunk.mean, trunk.std, trunk.resize, True)


def refused(*arguments: object) -> str:
    with pytest.raises(CrossModalError) as caught:
        TimmTrunk(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_hostile_checkpoint_is_refused_and_not_run(hostile):
    assert "pickle of other things" in refused("test_vit", hostile.path)
    assert not hostile.trace.exists()


def test_bad_names(no_network):
    assert "closest: resnet18" in refused("resnett18")
    assert "a1_in1k" in refused("resnet18", "no_such_tag")


def test_bad_weights(checkpoint, tmp_path):
    _, folder = checkpoint
    line = refused("resnet18", str(folder / "model.safetensors"))
    assert "expected weights of timm:resnet18, found Missing key(s)" in line
    assert "expected weights of timm:resnet18, found those of test_vit" in refused("resnet18", str(folder))
    (tmp_path / "config.json").write_text("[")
    assert "expected timm's config.json" in refused("test_vit", str(tmp_path))


def test_bad_size():
    assert "found 100" in refused("mixer_s32_224", None, 100)


def test_features_of_no_known_layout():
    with pytest.raises(CrossModalError, match=r"x: expected features as a map .* found \(1, 1, 1, 1, 1\)"):
        flatten_features(torch.zeros(1, 1, 1, 1, 1), timm.create_model("test_vit"), "x")
