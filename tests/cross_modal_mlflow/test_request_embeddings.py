"""Rows are embedded as the twin embeds them alone, and a row that cannot be is named."""

import numpy as np
import pytest
import torch
from toys.requests import picture
from toys.tiny_twin import tiny_twin

from cross_modal.encoders.embedding import embed_texts
from cross_modal.errors import CrossModalError
from cross_modal_mlflow.request_embeddings import embed_rows
from cross_modal_mlflow.request_files import FileAccess
from cross_modal_mlflow.request_rows import RequestRows, read_rows


def rows(*cells: tuple[bytes | None, str | None]) -> RequestRows:
    return read_rows([{"image": image, "text": text} for image, text in cells], FileAccess())


def test_each_row_has_what_it_brought() -> None:
    twin = tiny_twin()
    got = embed_rows(twin, rows((picture(1), None), (None, "alpha"), (picture(2), "beta"), (picture(1), None)))
    assert got.has_image.tolist() == [True, False, True, True]
    assert got.has_text.tolist() == [False, True, True, False]
    assert np.array_equal(got.images[0], got.images[3])
    assert not np.array_equal(got.images[0], got.images[2])
    assert np.allclose(got.texts[[1, 2]], embed_texts(twin, ["alpha", "beta"]))
    assert got.at([2]).images.shape == (1, twin.dim)


def test_many_pictures_give_what_few_give() -> None:
    twin = tiny_twin()
    many = embed_rows(twin, rows(*[(picture(seed), None) for seed in range(20)])).images
    few = embed_rows(twin, rows((picture(19), None))).images
    assert np.allclose(many[19], few[0], atol=1e-6)


def test_the_twin_stays_in_evaluation_mode() -> None:
    twin = tiny_twin()
    embed_rows(twin, rows((picture(1), "a")))
    assert not twin.training
    assert torch.is_grad_enabled()


def test_what_the_twin_has_no_trunk_for_is_left_out_or_named() -> None:
    pictures_only = tiny_twin("conv4", "none")
    assert not embed_rows(pictures_only, rows((picture(1), "a"))).has_text.any()
    with pytest.raises(CrossModalError, match=r"^row 1: expected an image: this twin encodes no texts$"):
        embed_rows(pictures_only, rows((picture(1), "a"), (None, "b")))
    with pytest.raises(CrossModalError, match=r"^row 0: expected a text: this twin encodes no pictures$"):
        embed_rows(tiny_twin("none", "transformer"), rows((picture(1), None)))


def test_a_broken_picture_is_named_by_its_row() -> None:
    whole = picture(1, side=64)
    with pytest.raises(CrossModalError, match=r"^row 1: image of \d+ bytes cannot be decoded"):
        embed_rows(tiny_twin(), rows((whole, None), (whole[: len(whole) // 2], None)))
    with pytest.raises(CrossModalError, match=r"^row 0: image array: expected uint8"):
        embed_rows(tiny_twin(), read_rows([{"image": np.zeros((4, 4))}], FileAccess()))
