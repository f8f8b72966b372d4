"""Pictures from strangers: by content, small, encoded anew."""

import io

import numpy as np
import pytest
from PIL import Image

from cross_modal.errors import CrossModalError
from cross_modal_dashboards.uploaded_picture import LONGEST_SIDE, checked_picture


def encoded(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def test_a_picture_comes_back_as_png_of_the_same_pixels() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    found = opened(checked_picture(encoded(Image.fromarray(pixels))))
    assert found.format == "PNG"
    assert (np.asarray(found) == pixels).all()


def test_large_ones_are_made_small_and_keep_their_proportions() -> None:
    found = opened(checked_picture(encoded(Image.new("RGB", (3000, 1500), "red"), "JPEG")))
    assert found.size == (LONGEST_SIDE, LONGEST_SIDE // 2)


def test_what_a_camera_wrote_about_place_and_time_is_gone_and_the_picture_is_upright() -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x0132] = 6, "2026:01:01 00:00:00"  # lies on its side; when
    found = opened(checked_picture(encoded(Image.new("RGB", (40, 20)), "JPEG", exif=exif)))
    assert found.size == (20, 40)
    assert not found.getexif()


def test_transparency_is_laid_on_white() -> None:
    found = opened(checked_picture(encoded(Image.new("RGBA", (4, 4), (0, 0, 0, 0)))))
    assert found.getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "expected a picture"),
        (b"<svg onload=alert(1)>", "expected a picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "expected a picture"),
        (encoded(Image.effect_noise((64, 64), 50), "JPEG")[:900], "expected a whole picture, found a damaged one"),
        (encoded(Image.new("1", (6000, 6000))), "expected at most 24,000,000 pixels"),
    ],
)
def test_anything_else_is_refused_in_one_line(content: bytes, said: str) -> None:
    with pytest.raises(CrossModalError, match=said) as caught:
        checked_picture(content, "cat.png")
    assert str(caught.value).startswith("cat.png: ")
    assert "\n" not in str(caught.value)
