"""Every kind of picture becomes uint8 (H, W, C), and no broken one slips through."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from cross_modal.data.decode import BadImage, check, decode, fit, fit_for_stacking


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def grey(values: list[list[int]]) -> Image.Image:
    return Image.fromarray(np.array(values, np.uint8))


def test_grey_and_rgb_both_ways():
    assert decode(encoded(grey([[0, 200]])), channels=3).tolist() == [[[0, 0, 0], [200, 200, 200]]]
    red = encoded(Image.new("RGB", (1, 1), (255, 0, 0)))
    assert decode(red, channels=1).tolist() == [[[76]]]  # ITU-R 601 luma
    assert decode(red, channels=3).dtype == np.uint8


@pytest.mark.parametrize("channels", [1, 3])
def test_alpha_is_laid_on_white(channels):
    black = (0, 0, 0)
    for image in (
        Image.new("RGBA", (1, 1), (*black, 0)),
        Image.new("LA", (1, 1), (0, 0)),
    ):
        assert (decode(encoded(image), channels=channels) == 255).all()
    half = decode(encoded(Image.new("RGBA", (1, 1), (*black, 128))), channels=channels)
    assert abs(int(half.flat[0]) - 127) <= 1


def test_palette_with_transparency():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    assert decode(encoded(image)).tolist() == [[[10, 20, 30], [200, 100, 50]]]
    assert decode(encoded(image, transparency=0)).tolist() == [[[255, 255, 255], [200, 100, 50]]]


def test_grey_with_a_transparent_value():
    assert decode(encoded(grey([[0, 9]]), transparency=0), channels=1)[:, :, 0].tolist() == [[255, 9]]


def test_one_bit_and_cmyk():
    assert decode(encoded(Image.new("1", (1, 1), 1)), channels=1).tolist() == [[[255]]]
    cmyk = encoded(Image.new("CMYK", (8, 8), (0, 0, 0, 255)), "JPEG", quality=95)
    assert decode(cmyk, channels=3).max() < 12


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_not_clipped(form):
    values = np.array([[0, 257 * 100, 65535]], np.uint16)
    assert decode(encoded(Image.fromarray(values), form), channels=1)[:, :, 0].tolist() == [[0, 100, 255]]


def test_floats_and_wide_integers_are_refused():
    with pytest.raises(BadImage, match="found floating point"):
        decode(encoded(Image.new("F", (1, 1), 0.5), "TIFF"))
    with pytest.raises(BadImage, match="at most 16 bits"):
        decode(encoded(Image.fromarray(np.array([[70000]], np.int32)), "TIFF"))


def test_exif_orientation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    wide = encoded(Image.new("RGB", (16, 8)), "JPEG", exif=exif)
    assert decode(wide).shape == (16, 8, 3)


def test_fits():
    ramp = grey([list(range(0, 80, 10))] * 4)  # 8 wide, 4 high
    assert decode(encoded(ramp), channels=1, size=4, resize="squash").shape == (4, 4, 1)
    assert decode(encoded(ramp), channels=1, size=4, resize="crop")[0, :, 0].tolist() == [20, 30, 40, 50]
    padded = decode(encoded(Image.new("L", (8, 4), 255)), channels=1, size=8, resize="pad")[:, 0, 0]
    assert padded.tolist() == [0, 0, 255, 255, 255, 255, 0, 0]
    assert fit(grey([[1, 2], [3, 4]]), 2, "squash").getpixel((1, 1)) == 4
    assert fit(Image.new("L", (1, 500)), 8, "pad").size == (8, 8)


def test_crop_is_what_torchvision_does():
    transforms = pytest.importorskip("torchvision.transforms")
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (37, 61, 3), np.uint8))
    bicubic = transforms.InterpolationMode.BICUBIC
    theirs = transforms.Compose([transforms.Resize(24, bicubic), transforms.CenterCrop(24)])(image)
    assert (decode(encoded(image), size=24, resize="crop") == np.asarray(theirs)).all()


def test_arrays():
    assert decode(np.zeros((4, 6), np.uint8), channels=1).shape == (4, 6, 1)
    assert decode(np.full((4, 6, 1), 3, np.uint8), channels=3)[0, 0].tolist() == [3, 3, 3]
    for bad in (np.zeros((4, 4)), np.zeros((4, 4, 2), np.uint8), np.zeros((0, 4), np.uint8)):
        with pytest.raises(BadImage, match="expected uint8"):
            decode(bad)
    with pytest.raises(BadImage, match="found int"):
        decode(3)
    with pytest.raises(BadImage, match="missing"):
        decode(None)


def test_the_size_is_checked_before_decoding():
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 20000, 20000, 8, 0, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    with pytest.raises(BadImage, match="too large: expected at most 1000 pixels"):
        decode(bomb, max_pixels=1000)
    small = encoded(Image.new("L", (40, 30)))
    with pytest.raises(BadImage, match="at most 1199 pixels, found 40×30"):
        decode(small, max_pixels=1199)
    assert decode(small, max_pixels=1200).shape == (30, 40, 3)


def test_missing_unreadable_and_truncated_files(tmp_path):
    with pytest.raises(BadImage, match=r"a\.png' does not exist"):
        decode(str(tmp_path / "a.png"))
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    for form in ("PNG", "JPEG"):
        file = tmp_path / f"cut.{form.lower()}"
        file.write_bytes(encoded(noise, form)[:-2000])
        with pytest.raises(BadImage, match="cannot be decoded"):
            decode(str(file))
        assert check(str(file), 10**6, whole=True)
    file.write_text("not a picture")
    with pytest.raises(BadImage, match="unreadable"):
        decode(str(file))
    assert "unreadable" in (check(str(file), 10**6, whole=False) or "")


def test_postscript_is_never_opened():
    """Pillow hands EPS to Ghostscript; the allow-list of formats keeps it out."""
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\nshowpage\n"
    with pytest.raises(BadImage, match="unreadable"):
        decode(eps)


def test_check_is_silent_on_good_pictures():
    for form in ("PNG", "JPEG", "WEBP", "GIF", "BMP"):
        for whole in (False, True):
            assert check(encoded(Image.new("RGB", (20, 10)), form), 200, whole=whole) is None


def test_stacking_takes_only_what_needs_no_decoding():
    fine = [np.full((2, 2), value, np.uint8) for value in (1, 2)]
    stacked = fit_for_stacking(fine, 1, 2)
    assert stacked is not None
    assert stacked.shape == (2, 1, 2, 2)
    assert fit_for_stacking([np.zeros((2, 2, 3), np.uint8)], 3, 2).shape == (1, 3, 2, 2)
    assert fit_for_stacking([*fine, b"x"], 1, 2) is None
    assert fit_for_stacking(fine, 3, 2) is None
    assert fit_for_stacking([], 1, 2) is None
