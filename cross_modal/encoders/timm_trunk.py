"""Any timm image model as an image trunk: its last feature map, or its last layer of tokens.

timm models end in maps (B, C, H, W), maps (B, H, W, C) or tokens (B, L, C) with class and register tokens in front; all
become tokens. There is no pooled embedding: a timm model has no text tower to share a space with, so the twin keeps no
residual on it, and classifier and pooling are dropped.
"""

from __future__ import annotations

import contextlib
import difflib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cross_modal.encoders.timm_blocks import timm_blocks
from cross_modal.encoders.tokens import Tokens
from cross_modal.encoders.trunk import ImageTrunk, Resize
from cross_modal.encoders.trunk_libraries import import_timm
from cross_modal.encoders.weight_file import find_weights, reading
from cross_modal.errors import CrossModalError

RESIZE: dict[str, Resize] = {"center": "crop", "squash": "squash", "border": "pad"}
_ABOVE = ("head", "fc_norm", "conv_head", "norm_head")  # what timm models call modules behind their features
_PREFERRED = ("model.safetensors", "pytorch_model.bin")


class TimmTrunk(ImageTrunk):
    """A timm model without its head.

    Args:
        name: A timm name, with or without a tag: "resnet18", "resnet18.a1_in1k".
        pretrained: None for random weights; "true" for timm's default weights, or one of the model's tags (both are
            fetched from the hub); a weight file; a folder with weights and, optionally, timm's config.json.
        size: Side of the input in pixels; None takes the model's own.
        state: What `state` of a saved trunk gave; it replaces `pretrained` and `size`.

    Raises:
        CrossModalError: If the name, tag or path is unknown, the weights do not fit or are unsafe, or the model cannot
            take this size.

    Example:
        >>> trunk = TimmTrunk("test_vit", size=64)
        >>> tokens = trunk(torch.zeros(2, 3, 64, 64))
        >>> tuple(tokens.values.shape), trunk.prefix_tokens
        ((2, 17, 64), 1)
    """

    def __init__(
        self,
        name: str,
        pretrained: str | bool | None = None,
        size: int | None = None,
        *,
        state: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.name = name
        pretrained = None if state or pretrained in (None, False, "", "false", "False") else str(pretrained)
        self.model, config = _load(name, pretrained)
        own = int(config["input_size"][-1])
        self.width, unused = _probe(import_timm(), self.model, name, own)
        _strip(self.model, unused)
        self.prefix_tokens = int(getattr(self.model, "num_prefix_tokens", 0))
        if state:
            config = {**config, **state}
        self.mean, self.std = tuple(config["mean"]), tuple(config["std"])
        self.interpolation = str(config["interpolation"])
        self.resize = state["resize"] if state else RESIZE.get(config["crop_mode"], "crop")
        self.size = int(state["size"]) if state else size or own
        self.pretrained = bool(state["pretrained"]) if state else pretrained is not None
        if self.size != own:
            self._set_size(config)

    def blocks(self) -> list[nn.Module]:
        """The model's own layer groups, from bottom to top."""
        return timm_blocks(self.model)

    def state(self) -> dict[str, Any]:
        """The input's size and normalisation, which depend on the weights that were loaded."""
        return {
            "size": self.size,
            "mean": list(self.mean),
            "std": list(self.std),
            "resize": self.resize,
            "interpolation": self.interpolation,
            "pretrained": self.pretrained,
        }

    def forward(self, pixels: Tensor) -> Tokens:
        """Encodes pictures (B, 3, H, W) into tokens (B, L, D); `pooled` is None."""
        values = flatten_features(self.model.forward_features(pixels), self.model, f"timm:{self.name}")
        return Tokens(values, torch.ones(values.shape[:2], dtype=torch.bool, device=values.device))

    def _set_size(self, config: dict[str, Any]) -> None:
        try:
            if hasattr(self.model, "set_input_size"):
                self.model.set_input_size(img_size=(self.size, self.size))
            elif config.get("fixed_input_size"):
                raise ValueError("a model whose input size is fixed")
        except (ValueError, AssertionError, RuntimeError, TypeError) as error:
            reason = " ".join(str(error).split()) or "a size that it cannot take"
            raise CrossModalError(
                f"timm:{self.name}: expected size {config['input_size'][-1]}, found {self.size}: {reason}"
            ) from None


def flatten_features(features: Any, model: Any, name: str) -> Tensor:
    """Turns what `forward_features` gives into tokens.

    Args:
        features: (B, C, H, W), (B, H, W, C), (B, L, C), (B, C, L) or (B, C); or several (B, L_i, C_i), one a branch.
        model: The timm model, which says its width and, where it is not NCHW, its layout.
        name: The trunk's name, for the message.

    Returns:
        (B, L, C); a map is read row by row, and branches (CrossViT) follow each other, each in columns of its own.

    Raises:
        CrossModalError: If the features are in none of these layouts.
    """
    width = int(model.num_features)
    if isinstance(features, (list, tuple)) and all(isinstance(f, Tensor) and f.ndim == 3 for f in features):
        features = _join(features)
    if not isinstance(features, Tensor) or features.ndim not in {2, 3, 4}:
        found = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
        raise CrossModalError(f"{name}: expected features as a map (B, C, H, W) or tokens (B, L, C), found {found}")
    if features.ndim == 2:
        return features.unsqueeze(1)
    shape = tuple(features.shape)
    if features.ndim == 3:
        return features.transpose(1, 2) if shape[1] == width != shape[2] else features
    last = getattr(model, "output_fmt", "NCHW") == "NHWC" or (shape[3] == width != shape[1])
    return features.flatten(1, 2) if last else features.flatten(2).transpose(1, 2)


def _probe(timm: Any, model: Any, name: str, size: int) -> tuple[int, list[str]]:
    """A forward pass without numbers: the width of the tokens, and which modules above the features are never called.

    Neither can be read off a model: the width of a few is not their `num_features`, and what one model calls `head`
    makes another's features.
    """
    called: set[str] = set()
    try:
        with torch.device("meta"), torch.no_grad():
            probe = timm.create_model(name, pretrained=False, num_classes=0).eval()
            above = [child for child in _ABOVE if isinstance(getattr(probe, child, None), nn.Module)]
            for child in above:
                getattr(probe, child).register_forward_pre_hook(lambda *_, child=child: called.add(child))
            features = probe.forward_features(torch.zeros(1, 3, size, size))
    except (RuntimeError, NotImplementedError, TypeError):
        return int(model.num_features), []  # a model that computes something while it is built
    width = flatten_features(features, probe, f"timm:{name}").shape[2]
    return width, [child for child in above if child not in called]


def _join(branches: Sequence[Tensor]) -> Tensor:
    """Branches (B, L_i, C_i) as one row of tokens (B, ΣL_i, ΣC_i), zero outside a branch's own columns."""
    widths = [branch.shape[2] for branch in branches]
    padded = [nn.functional.pad(branch, (sum(widths[:i]), sum(widths[i + 1 :]))) for i, branch in enumerate(branches)]
    return torch.cat(padded, dim=1)


def _load(name: str, pretrained: str | None) -> tuple[Any, dict[str, Any]]:
    """Builds the model at its own size, and says how its pictures are prepared."""
    timm = import_timm()
    architecture, _, own_tag = name.partition(".")
    _check(timm, name, architecture)
    if pretrained is None:
        model = timm.create_model(name, pretrained=False, num_classes=0)
        return model, _data_config(timm, model, {})
    path = Path(pretrained.removeprefix("local-dir:")).expanduser()
    if path.exists():
        return _load_local(timm, name, architecture, path)
    tag = "" if pretrained.lower() == "true" else pretrained
    tags = [found.partition(".")[2] for found in timm.list_models(f"{architecture}.*", pretrained=True)]
    if (tag or own_tag) and (tag or own_tag) not in tags:
        raise CrossModalError(
            f"timm:{name}: expected pretrained to be true, a file, a folder or one of "
            f"{', '.join(tags) or '(no tags)'}, found {pretrained!r}"
        )
    try:
        model = timm.create_model(f"{architecture}.{tag}" if tag else name, pretrained=True, num_classes=0)
    except Exception as error:
        # whatever the hub, its http client or the disk raises: to the user it is one thing
        reason = " ".join(str(error).split())[:160]
        raise CrossModalError(
            f"timm:{name}: could not fetch the weights ({type(error).__name__}: {reason}); "
            f"give pretrained a local file or folder instead"
        ) from None
    return model, _data_config(timm, model, {})


def _check(timm: Any, name: str, architecture: str) -> None:
    if not timm.is_model(architecture):
        close = difflib.get_close_matches(architecture.lower(), timm.list_models(), 3, 0.3)
        raise CrossModalError(
            f"timm:{name}: expected a timm model (closest: {', '.join(close) or 'none'}), found an unknown name"
        )


def _load_local(timm: Any, name: str, architecture: str, path: Path) -> tuple[Any, dict[str, Any]]:
    overlay: dict[str, Any] = {}
    if path.is_dir():
        overlay = _folder_config(path / "config.json", architecture)
        path = find_weights(path, _PREFERRED)
    model = timm.create_model(name, pretrained=False, num_classes=0)
    classifiers = model.pretrained_cfg.get("classifier") or ()
    classifiers = (classifiers,) if isinstance(classifiers, str) else tuple(classifiers)
    with reading(path, f"weights of timm:{name}"):
        weights = timm.models.load_state_dict(str(path), weights_only=True)
        dropped = tuple(f"{classifier}." for classifier in classifiers)
        model.load_state_dict({key: value for key, value in weights.items() if not key.startswith(dropped)})
    return model, _data_config(timm, model, overlay)


def _folder_config(path: Path, architecture: str) -> dict[str, Any]:
    """The part of timm's config.json that says how pictures are prepared; empty where there is no such file."""
    if not path.is_file():
        return {}
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        found = config.get("architecture", architecture)
        overlay = dict(config.get("pretrained_cfg") or {})
    except (ValueError, AttributeError, TypeError, OSError) as error:
        raise CrossModalError(f"{path}: expected timm's config.json, found {type(error).__name__}: {error}") from None
    if found != architecture:
        raise CrossModalError(f"{path}: expected weights of timm:{architecture}, found those of {found}")
    return overlay


def _data_config(timm: Any, model: Any, overlay: dict[str, Any]) -> dict[str, Any]:
    config = {**model.pretrained_cfg, **overlay}
    return {
        **timm.data.resolve_data_config({}, pretrained_cfg=config),
        "fixed_input_size": config.get("fixed_input_size"),
    }


def _strip(model: Any, unused: Sequence[str]) -> None:
    """Drops what stands above the features: its parameters would get no gradient."""
    # models whose pooling is not theirs to choose keep it unused
    with contextlib.suppress(TypeError, AssertionError, AttributeError, ValueError):
        model.reset_classifier(0, "")
    for name in unused:
        setattr(model, name, nn.Identity())
