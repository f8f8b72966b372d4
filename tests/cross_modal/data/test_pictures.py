"""Pictures: kept or decoded on demand, the same tensor; each distinct cell decoded once; errors name the row."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from cross_modal.configuration import DataConfig
from cross_modal.data import pictures as module
from cross_modal.data.decode import BadImage, decode
from cross_modal.data.items import Items
from cross_modal.data.pictures import Pictures
from cross_modal.errors import CrossModalError


def png(value: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (6, 6), value).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("gigabytes", [1.0, 0.0])
def test_kept_and_on_demand_give_the_same(workers, gigabytes):
    cells = [png(value) for value in range(0, 200, 2)] + [np.full((4, 4), 7, np.uint8), None]
    pictures = Pictures(cells, channels=3, size=4, workers=workers, memory_gigabytes=gigabytes)
    assert pictures.kept == (gigabytes > 0)
    rows = [3, 100, 0, 3]
    pixels = pictures.pixels(rows)
    assert pixels.dtype == torch.uint8
    assert pixels.shape == (4, 3, 4, 4)
    assert pixels[:, 0, 0, 0].tolist() == [6, 7, 0, 6]
    assert pictures.pixels(np.arange(100))[:, 0, 0, 0].tolist() == list(range(0, 200, 2))
    assert pictures.pixels([]).shape == (0, 3, 4, 4)
    assert len(pictures) == 102


def test_each_distinct_cell_is_decoded_once(monkeypatch):
    decoded = []
    monkeypatch.setattr(module, "decode", lambda cell, **options: (decoded.append(cell), decode(cell, **options))[1])
    one, two = png(1), png(2)
    pictures = Pictures([one, two, one, bytes(bytearray(one))], channels=1, size=4)
    assert not decoded
    pictures.prepare([0, 1])
    assert sorted(decoded) == sorted([one, two])
    assert pictures.pixels([0, 2, 3])[:, 0, 0, 0].tolist() == [1, 1, 1]
    assert len(decoded) == 2


def test_arrays_of_the_right_size_touch_no_pillow(monkeypatch):
    monkeypatch.setattr(module, "decode", lambda *_, **__: pytest.fail("decoded"))
    cells = np.arange(5 * 16, dtype=np.uint8).reshape(5, 4, 4)
    pictures = Pictures(cells, channels=1, size=4)
    assert (pictures.pixels([4, 0]).numpy()[:, 0] == cells[[4, 0]]).all()


def test_pixels_are_a_copy():
    pictures = Pictures([np.zeros((2, 2), np.uint8)], channels=1, size=2)
    pictures.pixels([0]).fill_(9)
    assert pictures.pixels([0]).max() == 0


def test_errors_name_the_row(tmp_path):
    items = Items.of(images=[png(1), b"broken", None], rows=[1, 7, 8], source="items.csv")
    for gigabytes in (1.0, 0.0):
        pictures = Pictures.of(items, DataConfig(memory_gigabytes=gigabytes), channels=1, size=4)
        assert pictures.pixels([0]).shape == (1, 1, 4, 4)
        with pytest.raises(BadImage, match=r"^items\.csv row 7: image of 6 bytes is unreadable"):
            pictures.pixels([0, 1])
        with pytest.raises(BadImage, match=r"^items\.csv row 8: expected a picture, found none"):
            pictures.pixels([0, 2])
    with pytest.raises(CrossModalError, match="channels: expected 1 or 3, found 4"):
        Pictures([], channels=4)


def test_no_bar_without_a_terminal(capfd):
    Pictures([png(value % 250) + bytes([value % 256, value // 256]) for value in range(600)], 1, 4).prepare()
    assert capfd.readouterr() == ("", "")
