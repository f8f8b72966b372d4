"""LoRA on open_clip's attention: it starts as nothing, learns alone, and is plain weights when the twin is saved."""

import sys
from pathlib import Path

import pytest
import torch
from toys.shapes import experiment, shapes
from toys.tiny_open_clip import open_clip_experiment

from cross_modal.configuration import LoraConfig
from cross_modal.encoders.build import build_twin
from cross_modal.encoders.saved_twin import load_twin, save_twin
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError
from cross_modal.training.loop import train
from cross_modal.training.lora import add_lora, attention_projections, is_factor, merge_lora

pytest.importorskip("peft")
RANK = 2


def built() -> TwinEncoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return build_twin(open_clip_experiment().twin)


def outputs(twin: TwinEncoder) -> list[torch.Tensor]:
    twin.eval()
    pixels = torch.linspace(-1, 1, 2 * 3 * 16 * 16).reshape(2, 3, 16, 16)
    with torch.no_grad():
        return [twin.encode_image(pixels), twin.encode_text(twin.text.tokenize(["a bar", "two poles of size 4"]))]


def test_the_start_is_the_pretrained_model_and_only_factors_of_the_trunks_learn() -> None:
    twin = built()
    before = outputs(twin)
    add_lora(twin, LoraConfig(rank=RANK))
    for one, other in zip(before, outputs(twin), strict=True):
        torch.testing.assert_close(one, other)
    learning = [name for name, p in twin.named_parameters() if p.requires_grad]
    of_trunks = [name for name in learning if name.split(".")[0] in ("image", "text")]
    assert of_trunks
    assert all(is_factor(name) for name in of_trunks)
    assert any(name.startswith("head.") for name in learning)
    # two projections a block, an A and a B each, in three blocks of two towers
    assert len(of_trunks) == 2 * 2 * 3 * 2


def test_merged_weights_are_plain_and_give_the_same_and_are_the_formula() -> None:
    twin = built()
    plain = {name: value.clone() for name, value in twin.state_dict().items()}
    add_lora(twin, LoraConfig(rank=RANK, alpha=6.0))
    factors = {name: p for name, p in twin.named_parameters() if is_factor(name)}
    with torch.no_grad():
        for parameter in factors.values():
            parameter.normal_(std=0.3, generator=torch.Generator().manual_seed(parameter.numel()))
    changed = outputs(twin)
    block = "image.tower.transformer.resblocks.1.attn"
    (a,) = [p.detach() for name, p in factors.items() if name.startswith(f"{block}.lora_A")]
    (b,) = [p.detach() for name, p in factors.items() if name.startswith(f"{block}.lora_B")]
    merge_lora(twin)
    state = twin.state_dict()
    assert set(state) == set(plain)
    assert all(isinstance(p, torch.nn.Parameter) for p in twin.parameters())
    torch.testing.assert_close(state[f"{block}.in_proj_weight"], plain[f"{block}.in_proj_weight"] + 6.0 / RANK * b @ a)
    for one, other in zip(changed, outputs(twin), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
    moved = {name for name in plain if not torch.equal(plain[name], state[name])}
    assert {name.rsplit(".", 1)[-1] for name in moved} <= {"in_proj_weight", "weight"}
    assert all(".attn." in name for name in moved)


def test_a_training_with_lora_saves_a_twin_that_needs_no_peft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = open_clip_experiment(lora=LoraConfig(rank=RANK, learning_rate=1e-2), layer_decay=0.5, seed=3)
    torch.manual_seed(settings.training.seed)
    start = build_twin(settings.twin).state_dict()
    result = train(settings, shapes(per_class=4), folder=tmp_path)
    state = result.twin.state_dict()
    assert set(state) == set(start)
    moved = {
        name for name in start if name.startswith(("image.", "text.")) and not torch.equal(start[name], state[name])
    }
    assert moved
    assert all(".attn." in name for name in moved)
    expected = outputs(result.twin)
    folder = save_twin(result.twin, tmp_path / "model")
    monkeypatch.setitem(sys.modules, "peft", None)
    for one, other in zip(expected, outputs(load_twin(folder)), strict=True):
        assert torch.equal(one, other)


def test_factors_learn_at_their_own_rate() -> None:
    from cross_modal.training.optimizer import build_optimizer

    settings = open_clip_experiment(lora=LoraConfig(rank=RANK, learning_rate=3e-3))
    twin = built()
    add_lora(twin, settings.training.lora)
    optimizer = build_optimizer(twin, torch.nn.Identity(), settings.training)
    peaks = {id(p): group["peak"] for group in optimizer.param_groups for p in group["params"]}
    assert {peaks[id(p)] for name, p in twin.named_parameters() if is_factor(name)} == {3e-3}


def test_a_timm_tower_whose_projections_are_linear_maps() -> None:
    from cross_modal.configuration import TwinConfig
    from cross_modal.encoders.timm_trunk import TimmTrunk

    twin = TwinEncoder(TwinConfig(width=16), TimmTrunk("vit_tiny_patch16_224", None, 32), None).eval()
    twin.image.pretrained = True
    names = set(twin.state_dict())
    pixels = torch.linspace(-1, 1, 2 * 3 * 32 * 32).reshape(2, 3, 32, 32)
    with torch.no_grad():
        before = twin.encode_image(pixels)
        add_lora(twin, LoraConfig(rank=RANK))
        torch.testing.assert_close(twin.encode_image(pixels), before)
        for name, parameter in twin.named_parameters():
            if is_factor(name):
                parameter.normal_(std=0.2, generator=torch.Generator().manual_seed(len(name)))
        changed = twin.encode_image(pixels)
        assert not torch.allclose(changed, before, atol=1e-3)
        merge_lora(twin)
        torch.testing.assert_close(twin.encode_image(pixels), changed, atol=1e-4, rtol=1e-3)
    assert set(twin.state_dict()) == names


def test_projections_of_other_attentions() -> None:
    class Attention(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv, self.proj = torch.nn.Linear(4, 12), torch.nn.Linear(4, 4)

    trunk = torch.nn.ModuleDict({"attn": Attention(), "mlp": torch.nn.Linear(4, 4), "proj": torch.nn.Linear(4, 4)})
    assert attention_projections(trunk) == ["attn.qkv", "attn.proj"]


@pytest.mark.parametrize(
    ("lora", "message"),
    [
        (LoraConfig(rank=0), "expected a rank of at least 1 and an alpha above 0, found 0"),
        (LoraConfig(rank=2, alpha=0), "an alpha above 0, found 2 and 0"),
    ],
)
def test_settings_out_of_their_range_are_refused(lora: LoraConfig, message: str) -> None:
    with pytest.raises(CrossModalError, match=message):
        add_lora(built(), lora)


def test_trunks_that_lora_cannot_change_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = build_twin(experiment().twin, ["a", "b"])
    with pytest.raises(CrossModalError, match=r"training\.lora: expected a pretrained trunk, found none"):
        add_lora(scratch, LoraConfig(rank=2))
    scratch.image.pretrained = True
    with pytest.raises(CrossModalError, match="expected attention projections in the image trunk, found none"):
        add_lora(scratch, LoraConfig(rank=2))
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(CrossModalError, match=r"pip install 'cross-modal\[lora\]'"):
        add_lora(scratch, LoraConfig(rank=2))
