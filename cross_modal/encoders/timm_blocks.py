"""The layers of a timm model from bottom to top, for freezing all but the last N of them.

timm models say themselves which parameters form a layer (their group matcher, made for layer-wise learning rates); this
works for convolutional nets, transformers and what lies between.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

_UNMATCHED = "\0"  # a parameter's name that no matcher knows: its group is that of all unmatched parameters


def timm_blocks(model: Any, above: Sequence[nn.Module] = ()) -> list[nn.Module]:
    """Groups the model's parameters into layers.

    Args:
        model: The timm model.
        above: Modules that stand on top of the model; they belong to the last block, as does the model's own head.

    Returns:
        One module for each layer; they share the model's parameters and are no children of it.
    """
    from timm.models import group_parameters

    names = [name for name, _ in model.named_parameters()]
    try:
        matcher = model.group_matcher(coarse=False)
        known = isinstance(matcher, dict)
        groups = group_parameters(_Named(names + [_UNMATCHED] * known), matcher)  # type: ignore[arg-type]
    except (AttributeError, TypeError, AssertionError):
        groups = {0: names}
    layers = [list(groups[key]) for key in sorted(groups)]
    if len(layers) > 1 and _UNMATCHED in layers[-1]:
        head = layers.pop()
        layers[-1] += head
    blocks = [_gather(model, [name for name in layer if name != _UNMATCHED]) for layer in layers]
    blocks[-1].extend(above)
    return list(blocks)


class _Named:
    """Parameter names in the shape in which timm asks a module for them."""

    def __init__(self, names: list[str]) -> None:
        self.names = names

    def named_parameters(self) -> list[tuple[str, None]]:
        return [(name, None) for name in self.names]


def _gather(model: Any, names: list[str]) -> nn.ModuleList:
    """The modules that own these parameters; parameters of modules with further children are taken one by one."""
    modules: dict[str, nn.Module] = {}
    loose = nn.ParameterList()
    for name in names:
        owner = name.rpartition(".")[0]
        module = model.get_submodule(owner)
        if owner and next(module.children(), None) is None:
            modules[owner] = module
        else:
            loose.append(model.get_parameter(name))
    return nn.ModuleList([*modules.values(), loose])
