"""From names to a twin: "conv4", "gru", "transformer", "open_clip:NAME", "timm:NAME", "none".

Both towers of one open_clip model are loaded once, and get the residual on that model's own embedding. Libraries are
imported by the trunk that needs them: a twin from scratch never loads open_clip.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from cross_modal.configuration import ImageTrunkConfig, TextTrunkConfig, TwinConfig
from cross_modal.encoders.trunk import ImageTrunk, TextTrunk
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError

IMAGE_TRUNKS = ("conv4", "open_clip:NAME", "timm:NAME", "none")
TEXT_TRUNKS = ("transformer", "gru", "open_clip:NAME", "none")
_CONTEXT = 64  # tokens, of the text trunks from scratch


class Trunks(NamedTuple):
    """The trunks of a twin, which several twins may share while they are frozen.

    Attributes:
        image: The image trunk; None for a twin of texts only.
        text: The text trunk; None for a twin of pictures only.
        residual: Both are the towers of one open_clip model.
    """

    image: ImageTrunk | None
    text: TextTrunk | None
    residual: bool = False


def build_twin(
    config: TwinConfig, texts: Iterable[str] = (), states: dict[str, dict[str, Any]] | None = None
) -> TwinEncoder:
    """Builds an untrained twin.

    Args:
        config: The twin's settings.
        texts: Training texts, from which the trunks from scratch learn their vocabulary.
        states: The states of a saved twin's trunks under "image" and "text" (a vocabulary, a checkpoint's own
            normalisation): they are used instead of learning or reading them anew.

    Returns:
        The twin, in training mode, on the CPU.

    Raises:
        CrossModalError: If a name is unknown, or a checkpoint cannot be read.

    Example:
        >>> from cross_modal.configuration import ImageTrunkConfig
        >>> config = TwinConfig(image=ImageTrunkConfig(widths=[8, 8], pools=2), width=16)
        >>> build_twin(config, ["a cat", "a dog"]).dim
        16
    """
    trunks = build_trunks(config, texts, states)
    return TwinEncoder(config, trunks.image, trunks.text, residual=trunks.residual)


def build_trunks(
    config: TwinConfig, texts: Iterable[str] = (), states: dict[str, dict[str, Any]] | None = None
) -> Trunks:
    """Builds the trunks of a twin alone; see `build_twin`."""
    image_kind, _, image_name = config.image.name.partition(":")
    text_kind, _, text_name = config.text.name.partition(":")
    if image_kind == text_kind == "open_clip" and image_name == text_name:
        from cross_modal.encoders.open_clip_trunk import load_open_clip

        if config.text.pretrained not in {None, config.image.pretrained}:
            raise CrossModalError(
                f"twin.text.pretrained: expected {config.image.pretrained!r}, as both towers are one model, "
                f"found {config.text.pretrained!r}"
            )
        image, text = load_open_clip(
            image_name,
            config.image.pretrained,
            size=config.image.size,
            context=config.text.context,
            state=(states or {}).get("text"),  # it holds the tokenizer too
        )
        return Trunks(image, text, residual=True)
    image_trunk = build_image_trunk(config.image, (states or {}).get("image"))
    return Trunks(image_trunk, build_text_trunk(config.text, texts, (states or {}).get("text")))


def build_image_trunk(image: ImageTrunkConfig, state: dict[str, Any] | None = None) -> ImageTrunk | None:
    """The image trunk that `image.name` names."""
    kind, _, name = image.name.partition(":")
    if kind == "none":
        return None
    if kind == "conv4":
        from cross_modal.encoders.conv4 import Conv4

        return Conv4(image)
    if kind == "open_clip" and name:
        from cross_modal.encoders.open_clip_trunk import load_open_clip

        return load_open_clip(name, image.pretrained, size=image.size, state=state)[0]
    if kind == "timm" and name:
        from cross_modal.encoders.timm_trunk import TimmTrunk

        return TimmTrunk(name, image.pretrained, image.size, state=state)
    raise CrossModalError(f"twin.image.name: expected one of {', '.join(IMAGE_TRUNKS)}, found {image.name!r}")


def build_text_trunk(
    config: TextTrunkConfig, texts: Iterable[str], state: dict[str, Any] | None = None
) -> TextTrunk | None:
    """The text trunk that `config.name` names."""
    kind, _, name = config.name.partition(":")
    if kind == "none":
        return None
    if kind == "open_clip" and name:
        from cross_modal.encoders.open_clip_trunk import load_open_clip

        return load_open_clip(name, config.pretrained, context=config.context, state=state)[1]
    if config.name in {"transformer", "gru"}:
        from cross_modal.encoders.tokenizer import Tokenizer

        tokenizer = (
            Tokenizer(**state)
            if state
            else Tokenizer.learn(texts, config.tokens, config.vocabulary, config.context or _CONTEXT)
        )
        if config.name == "gru":
            from cross_modal.encoders.gru import GRUText

            return GRUText(config, tokenizer)
        from cross_modal.encoders.transformer import TransformerText

        return TransformerText(config, tokenizer)
    raise CrossModalError(f"twin.text.name: expected one of {', '.join(TEXT_TRUNKS)}, found {config.name!r}")
