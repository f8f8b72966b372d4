"""Finds and builds an open_clip model: by name, with weights from a tag, a local file, a local folder, or none.

The model is built from its configuration with the towers apart (open_clip's CustomTextCLIP, or CoCa), whatever class
open_clip itself would pick: both towers are then modules of their own, with one interface, and their numbers are the
same. The network is used for a tag alone, and only to fetch what the tag names.
"""

from __future__ import annotations

import copy
import difflib
import json
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from cross_modal.encoders.trunk_libraries import import_open_clip, require_transformers
from cross_modal.encoders.weight_file import find_weights, reading
from cross_modal.errors import CrossModalError

CONFIG_FILE = "open_clip_config.json"
_PREFERRED = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin")
_HF_CONFIG = "config.json"


@dataclass
class OpenClipModel:
    """A built model, with what its trunks need to know.

    Attributes:
        name: The open_clip name, for messages.
        visual: The image tower.
        text: The text tower.
        model_cfg: open_clip's configuration of the model, as built.
        preprocess_cfg: open_clip's preprocessing: size, mean, std, interpolation, resize_mode.
        pretrained: Whether weights were loaded.
        folders: Local folders that may hold the tokenizer's files.
        online: Whether the user named a tag, so that the tokenizer may be fetched too.
        hf_config: The configuration of a text tower from Hugging Face.
        tokenizer_files: The tokenizer's files by name, of a saved trunk.
    """

    name: str
    visual: nn.Module
    text: nn.Module
    model_cfg: dict[str, Any]
    preprocess_cfg: dict[str, Any]
    pretrained: bool = False
    folders: list[Path] = field(default_factory=list)
    online: bool = False
    hf_config: dict[str, Any] | None = None
    tokenizer_files: dict[str, str] | None = None

    def state(self) -> dict[str, Any]:
        """What rebuilds the model without network and checkpoint, the weights aside; JSON-able."""
        return {
            "model_cfg": self.model_cfg,
            "preprocess_cfg": self.preprocess_cfg,
            "pretrained": self.pretrained,
            "hf_config": self.hf_config,
        }


@dataclass
class _Source:
    """Where a model comes from, resolved."""

    model_cfg: dict[str, Any]
    preprocess_cfg: dict[str, Any] = field(default_factory=dict)
    weights: Path | None = None
    folders: list[Path] = field(default_factory=list)
    online: bool = False
    pretrained: bool = False
    hf_config: dict[str, Any] | None = None
    tokenizer_files: dict[str, str] | None = None


def build_open_clip_model(
    name: str,
    pretrained: str | None = None,
    *,
    size: int | None = None,
    context: int | None = None,
    state: dict[str, Any] | None = None,
) -> OpenClipModel:
    """Builds a model, in float32 on the CPU.

    Args:
        name: An open_clip model name, e.g. "ViT-B-32".
        pretrained: None for random weights; a tag of the model; a weight file; a folder with weights and, optionally,
            open_clip_config.json (which then wins over the name) and a tokenizer.
        size: Side of the input in pixels; None takes the model's own.
        context: Longest text in tokens; None takes the model's own.
        state: What `OpenClipModel.state` gave; it replaces name, size, context and `pretrained`.

    Returns:
        The model.

    Raises:
        CrossModalError: If the name, tag or path is unknown, the weights do not fit or are unsafe, a tag cannot be
            fetched, or the extra hf is missing.
    """
    source = _from_state(state) if state else _source(name, pretrained)
    cfg = copy.deepcopy(source.model_cfg)
    cfg.pop("custom_text", None)
    if size is not None and not state:
        cfg["vision_cfg"]["image_size"] = size
    if context is not None and not state:
        cfg["text_cfg"]["context_length"] = context
    model, hf_config = _construct(name, cfg, source)
    if source.weights is not None:
        with reading(source.weights, f"weights of open_clip:{name}"):
            import_open_clip().load_checkpoint(model, str(source.weights), weights_only=True)
    _set_input_size(model.visual, cfg["vision_cfg"])
    return OpenClipModel(
        name=name,
        visual=model.visual,
        text=model.text,
        model_cfg=cfg,
        preprocess_cfg={**_default_preprocessing(), **source.preprocess_cfg, "size": cfg["vision_cfg"]["image_size"]},
        pretrained=source.pretrained,
        folders=source.folders,
        online=source.online,
        hf_config=hf_config,
        tokenizer_files=source.tokenizer_files,
    )


def _source(name: str, pretrained: str | None) -> _Source:
    """Resolves name and `pretrained`; fetches a tag's weights."""
    if pretrained is None:
        return _Source(_builtin(name))
    path = Path(pretrained.removeprefix("local-dir:")).expanduser()
    if path.is_dir():
        return _folder(name, path)
    if path.is_file():
        return _Source(_builtin(name), weights=path, folders=[path.parent], pretrained=True)
    return _tag(name, pretrained)


def _builtin(name: str) -> dict[str, Any]:
    open_clip = import_open_clip()
    cfg = open_clip.get_model_config(name.replace("/", "-")) if ":" not in name else None
    if cfg is None:
        known = {model.lower(): model for model in open_clip.list_models()}
        close = [known[match] for match in difflib.get_close_matches(name.lower(), known, 3, 0.3)]
        raise CrossModalError(
            f"open_clip:{name}: expected one of open_clip's {len(known)} models "
            f"(closest: {', '.join(close) or 'none'}), found an unknown name"
        )
    cfg["vision_cfg"].setdefault("image_size", 224)
    return cfg


def _folder(name: str, folder: Path) -> _Source:
    path = folder / CONFIG_FILE
    preprocessing: dict[str, Any] = {}
    if path.is_file():
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            cfg = content["model_cfg"]
            cfg["vision_cfg"].setdefault("image_size", 224)
            preprocessing = _preprocessing(content.get("preprocess_cfg") or {})
            if not {"embed_dim", "text_cfg"} <= set(cfg):
                raise KeyError("embed_dim or text_cfg is missing")
        except (KeyError, TypeError, AttributeError, ValueError, OSError) as error:
            raise CrossModalError(
                f"{path}: expected open_clip's model_cfg and preprocess_cfg, found {type(error).__name__}: {error}"
            ) from None
    else:
        cfg = _builtin(name)
    return _Source(cfg, preprocessing, find_weights(folder, _PREFERRED), [folder], pretrained=True)


def _tag(name: str, tag: str) -> _Source:
    open_clip = import_open_clip()
    cfg = _builtin(name)
    entry = open_clip.get_pretrained_cfg(name.replace("/", "-"), tag)
    if not entry:
        tags = open_clip.list_pretrained_tags_by_model(name.replace("/", "-"))
        raise CrossModalError(
            f"open_clip:{name}: expected pretrained to be a file, a folder or one of {', '.join(tags) or '(no tags)'}, "
            f"found {tag!r}"
        )
    try:
        weights = Path(open_clip.download_pretrained(entry))
    except Exception as error:
        # whatever the hub, its http client or the disk raises: to the user it is one thing
        reason = " ".join(str(error).split())[:160]
        raise CrossModalError(
            f"open_clip:{name}: could not fetch the weights {tag!r} ({type(error).__name__}: {reason}); "
            f"give pretrained a local file or folder instead"
        ) from None
    if entry.get("quick_gelu"):
        cfg["quick_gelu"] = True  # these weights were trained with it; open_clip merely warns
    return _Source(cfg, _preprocessing(entry), weights, online=True, pretrained=True)


def _from_state(state: dict[str, Any]) -> _Source:
    return _Source(
        model_cfg=state["model_cfg"],
        preprocess_cfg=state["preprocess_cfg"],
        pretrained=bool(state["pretrained"]),
        hf_config=state.get("hf_config"),
        tokenizer_files=state.get("tokenizer_files"),
    )


def _construct(name: str, cfg: dict[str, Any], source: _Source) -> tuple[Any, dict[str, Any] | None]:
    """Builds the model; a text tower from Hugging Face is built from a configuration in a local folder."""
    open_clip = import_open_clip()
    model_class = open_clip.CoCa if "multimodal_cfg" in cfg else open_clip.CustomTextCLIP
    cfg = copy.deepcopy(cfg)
    if cfg["vision_cfg"].get("timm_model_name"):
        cfg["vision_cfg"]["timm_model_pretrained"] = False
    text_cfg = cfg["text_cfg"]
    if not text_cfg.get("hf_model_name"):
        return model_class(**cfg), None
    require_transformers(f"open_clip:{name}: its text tower")
    hf_config = source.hf_config or _hf_config(name, text_cfg["hf_model_name"], source)
    text_cfg["hf_model_pretrained"] = False
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / _HF_CONFIG).write_text(json.dumps(hf_config), encoding="utf-8")
        text_cfg["hf_model_name"] = folder
        return model_class(**cfg), hf_config


def _hf_config(name: str, repository: str, source: _Source) -> dict[str, Any]:
    """The configuration of the Hugging Face text tower: from a given folder, the local cache or, for a tag, the hub."""
    from transformers import AutoConfig

    for folder in [*source.folders, Path(repository)]:
        if (folder / _HF_CONFIG).is_file():
            repository = str(folder)
            break
    try:
        config = AutoConfig.from_pretrained(repository, local_files_only=not source.online, trust_remote_code=False)
    except Exception as error:
        raise CrossModalError(
            f"open_clip:{name}: expected the {_HF_CONFIG} of {repository} in the folder that pretrained names or in "
            f"the local Hugging Face cache, found neither ({type(error).__name__})"
        ) from None
    return json.loads(config.to_json_string(use_diff=False))


def _default_preprocessing() -> dict[str, Any]:
    from open_clip.transform import PreprocessCfg

    return asdict(PreprocessCfg())


def _preprocessing(cfg: dict[str, Any]) -> dict[str, Any]:
    return {key: cfg[key] for key in _default_preprocessing() if cfg.get(key) is not None}


def _set_input_size(visual: Any, vision_cfg: dict[str, Any]) -> None:
    """Towers of timm are built (and their weights loaded) at timm's own size; positions are resized afterwards."""
    size, trunk = vision_cfg["image_size"], getattr(visual, "trunk", None)
    own = getattr(getattr(trunk, "patch_embed", None), "img_size", None)
    if own is not None and hasattr(trunk, "set_input_size") and tuple(own) != _pair(size):
        visual.set_input_size(_pair(size))


def _pair(size: Any) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
