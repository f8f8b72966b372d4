"""Pictures that people upload, paste or take: checked by content, made small, encoded anew; never trusted by name."""

from __future__ import annotations

import io

from PIL import Image, ImageOps

from cross_modal.data.decode import BadImage, open_image, to_eight_bits
from cross_modal.errors import CrossModalError

MOST_PIXELS = 24_000_000
LONGEST_SIDE = 1024


def checked_picture(content: bytes, name: str = "picture") -> bytes:
    """A picture as a PNG of our own making.

    Args:
        content: What was uploaded.
        name: What to call it in a message.

    Returns:
        PNG bytes, upright, at most 1024 pixels a side, without any metadata.

    Raises:
        CrossModalError: It is no picture that is read here, is damaged, or is too large.

    >>> checked_picture(b"<svg/>", "a.png")
    Traceback (most recent call last):
    cross_modal.errors.CrossModalError: a.png: expected a picture (PNG, JPEG, WEBP or the like), found none
    """
    try:
        with open_image(content, MOST_PIXELS) as opened:
            opened.load()
            picture = to_eight_bits(ImageOps.exif_transpose(opened), 3)
    except BadImage as error:
        if "too large" in str(error):
            raise CrossModalError(f"{name}: expected at most {MOST_PIXELS:,} pixels, found more") from None
        raise CrossModalError(f"{name}: expected a picture (PNG, JPEG, WEBP or the like), found none") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise CrossModalError(f"{name}: expected a whole picture, found a damaged one") from None
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()
