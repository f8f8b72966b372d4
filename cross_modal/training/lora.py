"""LoRA: low-rank changes of the attention projections of pretrained trunks (Hu et al. 2022), through peft.

W + (alpha / rank)·B·A is trained instead of W: A and B have a small part of its numbers, and B starts at zero, so that
the twin starts as the pretrained one. Before the twin is saved the changes are added to the weights: a saved twin is a
plain one and needs no peft.

open_clip's towers keep query, key and value in one ``in_proj_weight`` of `torch.nn.MultiheadAttention`. peft changes
such a layer as a whole: one change of rank r to the three stacked projections, one to the output projection, added to
the weights in every forward pass; it has no dropout there, and cannot leave one of the projections out.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from cross_modal.configuration import LoraConfig
from cross_modal.encoders.trunk import ImageTrunk, TextTrunk
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError

PROJECTIONS = {"qkv", "q_proj", "k_proj", "v_proj", "query", "key", "value"}  # linear maps of timm's and Hugging Face's
OUTPUTS = {"proj", "out_proj"}  # of an attention that has one of the above


def is_factor(name: str) -> bool:
    """Whether a parameter is a factor of a low-rank change, by its name.

    >>> is_factor("image.tower.attn.lora_A.default.weight"), is_factor("image.tower.attn.in_proj_weight")
    (True, False)
    """
    return any(part.startswith("lora_") for part in name.split("."))


def attention_projections(trunk: nn.Module) -> list[str]:
    """Names of the modules of a trunk that LoRA changes.

    Returns:
        Its `MultiheadAttention` modules, and the linear projections of other attention modules.
    """
    found: list[str] = []
    for name, module in trunk.named_modules():
        if isinstance(module, nn.MultiheadAttention):
            found.append(name)
            continue
        linear = [part for part, child in module.named_children() if isinstance(child, nn.Linear)]
        if PROJECTIONS.intersection(linear):
            found += [f"{name}.{part}" if name else part for part in linear if part in PROJECTIONS | OUTPUTS]
    return found


def add_lora(twin: TwinEncoder, config: LoraConfig) -> None:
    """Freezes the pretrained trunks and gives their attention projections low-rank changes that learn.

    Args:
        twin: The twin; trunks from scratch stay as they are, for they have nothing to be changed a little.
        config: Rank and scale.

    Raises:
        CrossModalError: Where peft is missing, a setting is out of its range, no trunk is pretrained, or one has no
            attention projections (a convolutional network).
    """
    if config.rank < 1 or config.alpha <= 0:
        raise CrossModalError(
            f"training.lora: expected a rank of at least 1 and an alpha above 0, found {config.rank} and {config.alpha}"
        )
    peft = _peft()
    trunks = _pretrained(twin)
    if not trunks:
        raise CrossModalError("training.lora: expected a pretrained trunk, found none: train one from scratch whole")
    for side, trunk in trunks:
        names = attention_projections(trunk)
        if not names:
            raise CrossModalError(f"training.lora: expected attention projections in the {side} trunk, found none")
        trunk.requires_grad_(False)
        settings = peft.LoraConfig(r=config.rank, lora_alpha=config.alpha, target_modules=names, bias="none")
        peft.inject_adapter_in_model(settings, trunk)
        for name, parameter in trunk.named_parameters():
            parameter.requires_grad_(is_factor(name))


def merge_lora(twin: TwinEncoder) -> None:
    """Adds the low-rank changes to the weights: the trunks are plain again, and score what they scored."""
    if not any(is_factor(name) for name, _ in twin.named_parameters()):
        return
    layer_kind = _peft().tuners.lora.LoraLayer
    for _, trunk in _pretrained(twin):
        changed = [(name, module) for name, module in trunk.named_modules() if isinstance(module, layer_kind)]
        names = {name for name, _ in changed}
        for name, module in changed:
            if any(name.startswith(f"{above}.") for above in names):
                continue  # the output projection within a MultiheadAttention, which goes with it
            path, _, leaf = name.rpartition(".")
            setattr(trunk.get_submodule(path), leaf, _plain(module))
        if hasattr(trunk, "peft_config"):
            del trunk.peft_config
        trunk.requires_grad_(True)


def _plain(layer: Any) -> nn.Module:
    """The layer that LoRA stood on, its weights changed."""
    if hasattr(layer, "unload_and_optionally_merge_module"):
        return layer.unload_and_optionally_merge_module(merge=True, safe_merge=False, adapter_names=None)
    layer.merge()
    return layer.get_base_layer()


def _pretrained(twin: TwinEncoder) -> list[tuple[str, ImageTrunk | TextTrunk]]:
    sides = (("image", twin.image), ("text", twin.text))
    return [(side, trunk) for side, trunk in sides if trunk is not None and trunk.pretrained]


def _peft() -> Any:
    try:
        import peft
    except ImportError:
        raise CrossModalError(
            "training.lora: expected the package peft, found none: pip install 'cross-modal[lora]'"
        ) from None
    return peft
