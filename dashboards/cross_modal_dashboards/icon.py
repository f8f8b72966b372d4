"""The picture in the browser's tab, drawn here: an icon by name would be asked of a foreign host."""

from __future__ import annotations

from functools import cache

from PIL import Image, ImageDraw

BLUE, GREEN = "#0072B2", "#009E73"


@cache
def page_icon() -> Image.Image:
    """Two discs that overlap: two modalities, one space. (64, 64) RGBA."""
    canvas = Image.new("RGBA", (256, 256), (0, 0, 0, 0))
    pen = ImageDraw.Draw(canvas, "RGBA")
    pen.ellipse((12, 52, 164, 204), outline=BLUE, width=26)
    pen.ellipse((92, 52, 244, 204), outline=GREEN, width=26)
    return canvas.resize((64, 64), Image.Resampling.LANCZOS)
