"""Decoding of one picture: from a path, bytes or an array to uint8 (H, W, C), whatever the file holds.

Safe by construction: an allow-list of formats (Pillow's EPS reader starts Ghostscript), the size is checked before a
pixel is decoded, truncated files are errors. Alpha is laid on white, 16 bits become 8, EXIF orientation is applied.
"""

from __future__ import annotations

import io
import os
from typing import Literal

import numpy as np
from PIL import Image, ImageOps

from cross_modal.data.archive_member import ArchiveMember
from cross_modal.errors import CrossModalError

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")
Resize = Literal["squash", "crop", "pad"]
INTERPOLATIONS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


class BadImage(CrossModalError):
    """A picture that cannot be decoded: names it and says what was found."""


def name_of(cell: object) -> str:
    """How messages call a picture: its path, or its kind where it has none.

    >>> name_of("a.png"), name_of(b"1234")
    ("image 'a.png'", 'image of 4 bytes')
    """
    if isinstance(cell, str):
        return f"image '{cell}'"
    if isinstance(cell, bytes):
        return f"image of {len(cell)} bytes"
    if isinstance(cell, ArchiveMember):
        return f"image '{cell.name}'"
    return "image array"


def one_line(error: Exception) -> str:
    """The first line of an error's message, or its kind where it has none."""
    return str(error).split("\n", 1)[0] or type(error).__name__


def open_image(cell: str | bytes | ArchiveMember, max_pixels: int) -> Image.Image:
    """Opens a picture lazily and checks its size; no pixel is decoded yet.

    Args:
        cell: A path, the encoded bytes, or where they lie in an archive.
        max_pixels: Largest width × height.

    Returns:
        The open picture; the caller closes it.

    Raises:
        BadImage: Where the file does not exist, is no picture of a known format, or is too large.
    """
    if isinstance(cell, str) and not os.path.isfile(cell):
        raise BadImage(f"{name_of(cell)} does not exist")
    if isinstance(cell, ArchiveMember):
        try:
            content: str | bytes = cell.read()
        except CrossModalError as error:
            raise BadImage(str(error)) from None
    else:
        content = cell
    try:
        image = Image.open(content if isinstance(content, str) else io.BytesIO(content), formats=available_formats())
    except Image.DecompressionBombError:
        raise BadImage(f"{name_of(cell)} is too large: expected at most {max_pixels} pixels") from None
    except Exception:  # Pillow's readers raise whatever a broken file makes them raise
        raise BadImage(f"{name_of(cell)} is unreadable: expected one of {', '.join(FORMATS)}") from None
    width, height = image.size
    if width * height > max_pixels:
        image.close()
        raise BadImage(f"{name_of(cell)} is too large: expected at most {max_pixels} pixels, found {width}×{height}")
    return image


def available_formats() -> list[str]:
    """The allowed formats that this build of Pillow can read."""
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def to_eight_bits(image: Image.Image, channels: int) -> Image.Image:
    """Brings a picture of any mode to "L" or "RGB": alpha on white, palette looked up, 16 bits scaled to 8.

    Raises:
        ValueError: Where the mode holds numbers whose range is not known (floats, 32-bit integers).
    """
    target = "L" if channels == 1 else "RGB"
    if image.mode == target and not image.has_transparency_data:
        return image
    if image.mode.startswith("I"):  # I;16, I;16B, or I as older Pillow gives 16-bit PNG files
        values = np.asarray(image.convert("I"), np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError(f"expected at most 16 bits a channel, found values {values.min()} to {values.max()}")
        return Image.fromarray(((values + 128) // 257).astype(np.uint8)).convert(target)
    if image.mode == "F":
        raise ValueError("expected 8 or 16 bits a channel, found floating point")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB").convert(target) if image.mode in ("P", "CMYK") else image.convert(target)


def fit(image: Image.Image, size: int, resize: Resize, interpolation: str = "bicubic") -> Image.Image:
    """Brings a picture to size × size.

    Args:
        image: An "L" or "RGB" picture.
        size: Side in pixels.
        resize: "squash" forgets the proportions; "crop" scales the shorter side and cuts the middle out; "pad" scales
            the longer side and fills up with black. All round as open_clip's transforms do.
        interpolation: "nearest", "bilinear", "bicubic" or "lanczos"; all but nearest are antialiased.
    """
    method = INTERPOLATIONS[interpolation]
    width, height = image.size
    if (width, height) == (size, size):
        return image
    if resize == "squash":
        return image.resize((size, size), method)
    if resize == "crop":
        short = min(width, height)
        width, height = int(size * width / short), int(size * height / short)
        image = image.resize((width, height), method)
        left, top = round((width - size) / 2), round((height - size) / 2)
        return image.crop((left, top, left + size, top + size))
    long = max(width, height)
    width, height = max(round(size * width / long), 1), max(round(size * height / long), 1)
    canvas = Image.new(image.mode, (size, size))
    canvas.paste(image.resize((width, height), method), ((size - width) // 2, (size - height) // 2))
    return canvas


def decode(
    cell: object,
    *,
    channels: int = 3,
    size: int | None = None,
    max_pixels: int = 64_000_000,
    resize: Resize = "squash",
    interpolation: str = "bicubic",
) -> np.ndarray:
    """Decodes one picture.

    Args:
        cell: A path, encoded bytes, a member of an archive, or a uint8 array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4).
        channels: 1 (grey) or 3 (RGB).
        size: Side of the square result; None keeps the picture's own size.
        max_pixels: Largest width × height that is decoded.
        resize: How it becomes a square; see `fit`.
        interpolation: See `fit`.

    Returns:
        (H, W, channels) uint8.

    Raises:
        BadImage: Where it cannot be decoded; one line that names it.

    >>> decode(np.zeros((4, 6), np.uint8), channels=3, size=2).shape
    (2, 2, 3)
    """
    image = upright(cell, channels, max_pixels)
    return pixels_of(image if size is None else fit(image, size, resize, interpolation))


def upright(cell: object, channels: int, max_pixels: int = 64_000_000) -> Image.Image:
    """One picture, decoded, the right way up, in 8 bits, at its own size.

    Args:
        cell: As for `decode`.
        channels: 1 (grey) or 3 (RGB).
        max_pixels: Largest width × height that is decoded.

    Raises:
        BadImage: Where it cannot be decoded; one line that names it.
    """
    if cell is None:
        raise BadImage("image is missing: expected a path, bytes or an array")
    if isinstance(cell, np.ndarray):
        image = from_array(cell)
    elif isinstance(cell, str | bytes | ArchiveMember):
        image = open_image(cell, max_pixels)
    else:
        raise BadImage(f"image: expected a path, bytes or an array, found {type(cell).__name__}")
    try:
        with image:
            image.load()
            ImageOps.exif_transpose(image, in_place=True)  # not in place it copies those that stand upright, too
            return to_eight_bits(image, channels)
    except Exception as error:  # Pillow's decoders raise whatever a broken file makes them raise
        raise BadImage(f"{name_of(cell)} cannot be decoded: {one_line(error)}") from None


def pixels_of(image: Image.Image) -> np.ndarray:
    """(H, W, channels) uint8 of an "L" or "RGB" picture."""
    pixels = np.asarray(image)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def from_array(array: np.ndarray) -> Image.Image:
    """A picture from a uint8 array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4).

    Raises:
        BadImage: Where dtype or shape is another, or the array is empty.
    """
    flat = array[:, :, 0] if array.ndim == 3 and array.shape[2] == 1 else array
    if flat.dtype != np.uint8 or not (flat.ndim == 2 or (flat.ndim == 3 and flat.shape[2] in (3, 4))) or not flat.size:
        raise BadImage(f"image array: expected uint8 (H, W) or (H, W, 3), found {array.dtype} {array.shape}")
    return Image.fromarray(np.ascontiguousarray(flat))


def fit_for_stacking(cells: list[object], channels: int, size: int) -> np.ndarray | None:
    """Stacks arrays that already have the right size and channels: no picture is touched one by one.

    Returns:
        (M, channels, size, size) uint8, or None where any cell needs decoding.
    """
    shape = (size, size) if channels == 1 else (size, size, channels)
    for cell in cells:
        if not isinstance(cell, np.ndarray) or cell.shape != shape or cell.dtype != np.uint8:
            return None
    if not cells:
        return None
    stacked: np.ndarray = np.stack(cells)  # type: ignore[arg-type]
    return stacked[:, None] if channels == 1 else stacked.transpose(0, 3, 1, 2)


def check(cell: str | bytes | ArchiveMember, max_pixels: int, *, whole: bool) -> str | None:
    """Looks whether a picture can be read.

    Args:
        cell: A path, encoded bytes, or a member of an archive.
        max_pixels: Largest width × height.
        whole: Also decode it (JPEG at an eighth of its size): finds truncated files. Else only the header is read.

    Returns:
        What is wrong with it, or None.
    """
    try:
        with open_image(cell, max_pixels) as image:
            if whole:
                image.draft("L", (max(image.width // 8, 1), max(image.height // 8, 1)))
                image.load()
            else:
                image.verify()
    except BadImage as error:
        return str(error)
    except Exception as error:  # as in decode
        return f"{name_of(cell)} is unreadable: {one_line(error)}"
    return None
