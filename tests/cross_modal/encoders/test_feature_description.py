"""Nothing that shapes a feature may be missing from what it is found by."""

from collections.abc import Callable

import pytest
import torch
from toys.shapes import experiment

from cross_modal.encoders.build import build_twin
from cross_modal.encoders.feature_description import describe_encoder, row_keys
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError

TEXTS = ["bar size 3", "pole size 4"]


def twin(seed: int = 0, **image: object) -> TwinEncoder:
    torch.manual_seed(seed)
    config = experiment().twin
    for name, value in image.items():
        setattr(config.image, name, value)
    return build_twin(config, TEXTS)


def changed(change: Callable[[TwinEncoder], object], layer: str = "tokens", modality: str = "image") -> bool:
    before, after = twin(), twin()
    with torch.no_grad():
        change(after)
    return describe_encoder(before, modality, layer) != describe_encoder(after, modality, layer)  # type: ignore[arg-type]


def test_equal_encoders_have_equal_descriptions() -> None:
    assert not changed(lambda _: None)


def test_one_weight_of_the_trunk_changes_it() -> None:
    assert changed(lambda one: next(one.image.parameters()).view(-1)[0].add_(1e-6))  # type: ignore[union-attr]


def test_statistics_of_batch_normalisation_change_it() -> None:
    buffers = dict(twin().image.named_buffers())  # type: ignore[union-attr]
    name = next(name for name in buffers if name.endswith("running_mean"))
    assert changed(lambda one: one.image.get_buffer(name).add_(1))  # type: ignore[union-attr]


def test_the_head_changes_the_embedding_and_not_the_tokens() -> None:
    def change(one: TwinEncoder) -> None:
        one.head.projection.weight.add_(1)

    assert not changed(change, "tokens")
    assert changed(change, "embedding")


@pytest.mark.parametrize("name", ["mean", "std", "resize", "interpolation", "size"])
def test_preprocessing_changes_it(name: str) -> None:
    assert changed(lambda one: setattr(one.image, name, "other"))


def test_the_compute_type_changes_it() -> None:
    assert changed(lambda one: one.image.double())  # type: ignore[union-attr]


def test_the_vocabulary_changes_the_text_side() -> None:
    torch.manual_seed(0)
    one = build_twin(experiment().twin, TEXTS)
    torch.manual_seed(0)
    other = build_twin(experiment().twin, [*TEXTS, "frame size 9"])
    assert describe_encoder(one, "text", "tokens")["state"] != describe_encoder(other, "text", "tokens")["state"]


def test_where_the_weights_came_from_plays_no_part() -> None:
    assert not changed(lambda one: setattr(one.config.image, "pretrained", "elsewhere.safetensors"))


def test_a_missing_side_is_named() -> None:
    config = experiment().twin
    config.text.name = "none"
    with pytest.raises(CrossModalError, match="expected a twin with an encoder for texts, found none"):
        describe_encoder(build_twin(config, []), "text", "tokens")


def test_keys_tell_contents_and_views_apart() -> None:
    keys = row_keys([b"a", b"a", b"b", b"a"], ["plain", "turned", "plain", "plain"])
    assert keys.shape == (4, 16)
    assert len({key.tobytes() for key in keys}) == 3
    assert keys[0].tobytes() == keys[3].tobytes()


def test_settings_of_the_head_that_leave_no_trace_in_the_weights_change_the_embedding() -> None:
    def change(one: TwinEncoder) -> None:
        one.config.pooling.heads *= 2

    assert changed(change, "embedding")
    assert not changed(change, "tokens")
