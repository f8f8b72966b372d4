"""The two towers of an open_clip model as trunks: their tokens, and the embedding that the model itself would give.

Picture tokens: a vision transformer's class token and patches after its last norm (the class token first: it alone
was trained by contrastive pretraining at the last layer); a CLIP ResNet's and a timm tower's last feature map, row by
row; a CoCa's visual tokens, those that its text decoder reads.

Text tokens: the states after the last norm. A causal tower that pools at the end token never looks at the padding, so
it is computed on the batch's real length alone, with positions and mask cut to it: several times faster for captions
of some words. In all other towers (SigLIP, MobileCLIP2, CoCa) padding or a token behind it takes part, so they see the
whole context. The model's configuration decides, never its name.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from cross_modal.encoders.open_clip_model import OpenClipModel, build_open_clip_model
from cross_modal.encoders.open_clip_tokenizer import OpenClipTokenizer
from cross_modal.encoders.timm_blocks import timm_blocks
from cross_modal.encoders.timm_trunk import flatten_features
from cross_modal.encoders.token_spans import TokenSpans
from cross_modal.encoders.tokens import Tokens
from cross_modal.encoders.trunk import ImageTrunk, Resize, TextTrunk
from cross_modal.errors import CrossModalError

RESIZE: dict[str, Resize] = {"shortest": "crop", "longest": "pad", "squash": "squash"}


def load_open_clip(
    name: str,
    pretrained: str | None = None,
    *,
    size: int | None = None,
    context: int | None = None,
    state: dict[str, Any] | None = None,
) -> tuple[OpenClipImageTrunk, OpenClipTextTrunk]:
    """Loads a model once, for both towers.

    Args:
        name: An open_clip model name, e.g. "ViT-B-32".
        pretrained: None for random weights; a tag (the only thing that uses the network); a weight file; a folder with
            weights and, optionally, open_clip_config.json and a tokenizer.
        size: Side of the input in pixels; None takes the model's own.
        context: Longest text in tokens; None takes the model's own.
        state: What `state` of either saved trunk gave; it replaces `pretrained`, `size` and `context`, so that neither
            network nor checkpoint is needed before the saved weights are loaded.

    Returns:
        The image trunk and the text trunk; they share no parameter, so either may be thrown away.

    Raises:
        CrossModalError: If the name, tag or path is unknown, the weights do not fit or are unsafe, a tag cannot be
            fetched, or the extra hf is missing.
    """
    model = build_open_clip_model(name, pretrained, size=size, context=context, state=state)
    return OpenClipImageTrunk(model), OpenClipTextTrunk(model)


class OpenClipImageTrunk(ImageTrunk):
    """The image tower.

    Args:
        model: The built model.
    """

    tower: Any

    def __init__(self, model: OpenClipModel) -> None:
        super().__init__()
        self.name = f"open_clip:{model.name}"
        self._state = model.state()
        self.tower = model.visual
        self.pooled_width = int(model.model_cfg["embed_dim"])
        self.pretrained = model.pretrained
        self._read_preprocessing(model.preprocess_cfg)
        self.kind = self._kind()
        if self.kind == "timm":
            self.width = int(self.tower.trunk.num_features)
            self.prefix_tokens = int(getattr(self.tower.trunk, "num_prefix_tokens", 0))
        elif self.kind == "resnet":
            self.width = int(self.tower.attnpool.k_proj.in_features)
        else:
            self.width = int(self.tower.ln_post.normalized_shape[0])
            self.prefix_tokens = 1 if self.kind == "vit" else None
            self.tower.output_tokens = self.kind == "pooler"

    def blocks(self) -> list[nn.Module]:
        """Transformer blocks, ResNet stages or timm's layer groups; the last one with the norm and projection above."""
        tower = self.tower
        if self.kind == "timm":
            return timm_blocks(tower.trunk, above=[tower.head])
        if self.kind == "resnet":
            return [tower.layer1, tower.layer2, tower.layer3, nn.ModuleList([tower.layer4, tower.attnpool])]
        poolers = [p for p in (tower.attn_pool, getattr(tower, "attn_pool_contrastive", None)) if p is not None]
        return _with_top(tower.transformer.resblocks, [tower.ln_post, *poolers], tower.proj)

    def state(self) -> dict[str, Any]:
        """The model's configuration and preprocessing."""
        return dict(self._state)

    def forward(self, pixels: Tensor) -> Tokens:
        """Encodes pictures (B, 3, H, W): tokens (B, L, D), and `pooled` (B, E), the model's own image embedding."""
        values, pooled = getattr(self, f"_{self.kind}")(pixels)
        return Tokens(values, torch.ones(values.shape[:2], dtype=torch.bool, device=values.device), pooled)

    def _vit(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        out = self.tower.forward_intermediates(
            pixels, indices=1, normalize_intermediates=True, output_fmt="NLC", output_extra_tokens=True
        )
        values = torch.cat([out["image_intermediates_prefix"][-1], out["image_intermediates"][-1]], dim=1)
        return values, out["image_features"]

    def _pooler(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        pooled, values = self.tower(pixels)
        return values, pooled

    def _resnet(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        tower = self.tower
        features = tower.layer4(tower.layer3(tower.layer2(tower.layer1(tower.stem(pixels)))))  # (B, D, H, W)
        return features.flatten(2).transpose(1, 2), tower.attnpool(features)

    def _timm(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        trunk = self.tower.trunk
        features = trunk.forward_features(pixels)
        pooled = self.tower.head(trunk.forward_head(features))
        return flatten_features(features, trunk, self.name), pooled

    def _kind(self) -> str:
        if hasattr(self.tower, "trunk"):
            return "timm"
        if hasattr(self.tower, "attnpool"):
            return "resnet"
        return "vit" if self.tower.attn_pool is None else "pooler"

    def _read_preprocessing(self, cfg: dict[str, Any]) -> None:
        sides = {cfg["size"]} if isinstance(cfg["size"], int) else set(cfg["size"])
        if len(sides) != 1:
            raise CrossModalError(f"{self.name}: expected a square input, found {tuple(cfg['size'])} pixels")
        self.size = int(sides.pop())
        self.mean, self.std = tuple(cfg["mean"]), tuple(cfg["std"])
        self.resize = RESIZE.get(cfg["resize_mode"], "crop")
        self.interpolation = "bilinear" if cfg["interpolation"] == "bilinear" else "bicubic"


class OpenClipTextTrunk(TextTrunk):
    """The text tower.

    Args:
        model: The built model.
    """

    tower: Any

    def __init__(self, model: OpenClipModel) -> None:
        super().__init__()
        self.name = f"open_clip:{model.name}"
        self._state = model.state()
        self.tower = model.text
        self.tower.output_tokens = True
        self.tokenizer = OpenClipTokenizer(
            model.name, model.model_cfg["text_cfg"], model.folders, model.online, model.tokenizer_files
        )
        self.context = self.tokenizer.context
        self.pooled_width = int(model.model_cfg["embed_dim"])
        self.pretrained = model.pretrained
        self.hugging_face = bool(model.model_cfg["text_cfg"].get("hf_model_name"))
        self.short = not self.hugging_face and _pools_at_the_end(self.tower)
        self.width = int(self._hidden_size() if self.hugging_face else self.tower.width)

    def blocks(self) -> list[nn.Module]:
        """The transformer's blocks; the last one with the norm and projection above it."""
        tower = self.tower
        if self.hugging_face:
            layers = next(m for m in tower.transformer.modules() if isinstance(m, nn.ModuleList) and len(m) > 1)
            return [*layers[:-1], nn.ModuleList([layers[-1], tower.proj])]
        return _with_top(tower.transformer.resblocks, [tower.ln_final], tower.text_projection)

    def tokenize(self, texts: list[str]) -> Tensor:
        """Turns texts into ids (B, L): cut to the batch's longest text where the padding takes no part."""
        tokens = self.tokenizer(texts)
        if self.short:
            return tokens[:, : int(self._real(tokens).sum(1).max())]
        return tokens[:, : self._masked_length(tokens)] if self.hugging_face else tokens

    def token_spans(self, text: str) -> TokenSpans:
        """The characters that each token stands for, of the text as the tokenizer cleaned it."""
        spans = self.tokenizer.spans(text).part(0, self.tokenize([text]).shape[1])
        taken = self.hugging_face and type(self.tower.pooler).__name__ == "ClsPooler"  # the first token is no token
        return spans.part(1, len(spans)) if taken else spans

    def state(self) -> dict[str, Any]:
        """The model's configuration and, where the tokenizer is not CLIP's own, its files."""
        return {**self._state, "tokenizer_files": self.tokenizer.files()}

    def forward(self, tokens: Tensor) -> Tokens:
        """Encodes ids (B, L): tokens (B, L', D), and `pooled` (B, E), the model's own text embedding.

        Args:
            tokens: (B, L) int64; L is at most the context where the padding takes no part, and else the context.

        Raises:
            CrossModalError: If L is another length.
        """
        fixed = not (self.short or self.hugging_face)
        if tokens.shape[1] > self.context or (fixed and tokens.shape[1] != self.context):
            raise CrossModalError(
                f"{self.name}: expected token ids (B, {'' if fixed else 'up to '}{self.context}), "
                f"found {tuple(tokens.shape)}"
            )
        if self.short:
            return self._forward_short(tokens)
        return self._forward_hugging_face(tokens) if self.hugging_face else self._forward_full(tokens)

    def _forward_short(self, tokens: Tensor) -> Tokens:
        tower = self.tower
        mask = self._real(tokens)
        length = int(mask.sum(1).max())
        tokens, mask = tokens[:, :length], mask[:, :length]
        states = tower.token_embedding(tokens) + tower.positional_embedding[:length]
        states = tower.transformer(states, attn_mask=tower.attn_mask[:length, :length])
        values = tower.ln_final(states)
        pooled = values[torch.arange(len(tokens), device=tokens.device), self._end(tokens)]
        if isinstance(tower.text_projection, nn.Linear):
            pooled = tower.text_projection(pooled)
        elif tower.text_projection is not None:
            pooled = pooled @ tower.text_projection
        return Tokens(values, mask, pooled)

    def _forward_full(self, tokens: Tensor) -> Tokens:
        pooled, values = self.tower(tokens)
        if self.tower.cls_emb is not None:
            values = self.tower.ln_final(values)  # CoCa norms its class token alone, which is not among these
        return Tokens(values, _before_padding(tokens, self.tower.pad_id), pooled)

    def _forward_hugging_face(self, tokens: Tensor) -> Tokens:
        tokens = tokens[:, : self._masked_length(tokens)]  # its padding is masked: it takes no part
        pooled, values = self.tower(tokens)
        mask = tokens != self.tower.config.pad_token_id
        mask = mask[:, -values.shape[1] :].clone()  # some poolers take the first token away
        mask[:, 0] |= ~mask.any(1)
        return Tokens(values, mask, pooled)

    def _end(self, tokens: Tensor) -> Tensor:
        """(B,) positions at which the tower pools, as open_clip's `text_global_pool` finds them."""
        return tokens.argmax(-1) if self.tower.pool_type == "argmax" else (tokens == self.tower.eos_id).int().argmax(-1)

    def _real(self, tokens: Tensor) -> Tensor:
        """(B, L) true up to the end token; up to the padding where an end token is missing."""
        upto = torch.arange(tokens.shape[1], device=tokens.device) <= self._end(tokens)[:, None]
        if self.tower.pool_type == "argmax":
            return upto
        missing = ~(tokens == self.tower.eos_id).any(1, keepdim=True)
        return torch.where(missing, _before_padding(tokens, self.tower.pad_id), upto)

    def _masked_length(self, tokens: Tensor) -> int:
        places = torch.arange(1, tokens.shape[1] + 1, device=tokens.device)
        return max(2, int((places * (tokens != self.tower.config.pad_token_id)).max()))

    def _hidden_size(self) -> int:
        config = self.tower.config
        return getattr(config, "hidden_size", None) or config.d_model


def _pools_at_the_end(tower: Any) -> bool:
    """Whether a text tower is causal and pools at its end token, so that what comes after it takes no part."""
    causal = tower.attn_mask is not None and tower.cls_emb is None
    return causal and tower.pool_type in {"argmax", "eos"}


def _before_padding(tokens: Tensor, pad: int) -> Tensor:
    """(B, L) true where a token is real: neither the padding id nor part of a run of one id at the end.

    The ids of padding differ between tokenizers (SigLIP pads with its end token), a run at the end they have in common.
    """
    same = tokens == tokens[:, -1:]
    run = same.flip(1).cumprod(1).flip(1).bool()
    mask = (tokens != pad) & ~(run & run[:, -2:-1])
    mask[:, 0] |= ~mask.any(1)
    return mask


def _with_top(blocks: Any, modules: list[nn.Module], projection: Any) -> list[nn.Module]:
    """Transformer blocks, the last one together with what stands on it."""
    top = [nn.ParameterList([projection])] if isinstance(projection, nn.Parameter) else [projection]
    return [*blocks[:-1], nn.ModuleList([blocks[-1], *modules, *(m for m in top if m is not None)])]
