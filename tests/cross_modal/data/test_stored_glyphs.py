"""Glyphs are rendered once for all processes; what comes out of the store is what was drawn."""

from pathlib import Path

import numpy as np
import pytest

from cross_modal.data import stored_glyphs as module
from cross_modal.data.glyphs import Glyphs, face_files
from cross_modal.data.stored_glyphs import describe, stored_glyphs

FACES = [face.stem for face in face_files()]


class Drawer:
    """Draws three pictures of two characters that look alike."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> Glyphs:
        self.calls += 1
        pictures = np.random.default_rng(0).integers(0, 256, (3, 32, 32)).astype(np.uint8)
        faces = np.array([FACES[0], FACES[-1], FACES[1]])
        return Glyphs(pictures, np.array([0x41, 0x41, 0x1D7CE], np.int64), faces, {0x41: 0x41, 0x1D7CE: 0x41})


def same(one: Glyphs, other: Glyphs) -> bool:
    columns = ("pictures", "codepoints", "faces")
    equal = all(np.array_equal(getattr(one, name), getattr(other, name)) for name in columns)
    return equal and one.sets == other.sets and one.texts == other.texts


def test_they_are_drawn_once_and_come_back_as_they_were() -> None:
    draw = Drawer()
    first, second = stored_glyphs(draw), stored_glyphs(draw)
    assert draw.calls == 1
    drawn = draw()
    assert same(first, drawn)
    assert same(second, drawn)
    assert second.codepoints.dtype == np.int64
    assert second.labels == ["U+0041", "U+0041", "U+1D7CE"]


@pytest.mark.parametrize("cache", ["off", "/dev/null/nowhere"])
def test_without_a_store_they_are_drawn(monkeypatch: pytest.MonkeyPatch, cache: str) -> None:
    monkeypatch.setenv("CROSS_MODAL_CACHE", cache)
    draw = Drawer()
    for _ in range(2):
        assert same(stored_glyphs(draw), draw())
    assert draw.calls == 4


def test_other_fonts_are_other_glyphs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = describe()
    assert describe() == before
    (tmp_path / "Other.ttf").write_bytes(b"another face")
    monkeypatch.setattr(module.glyphs, "face_files", lambda: [*face_files(), tmp_path / "Other.ttf"])
    assert describe()["fonts"] != before["fonts"]
