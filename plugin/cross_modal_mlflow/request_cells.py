"""Cells of a request: whatever a picture or a word has become on its way through MLflow, made what it was.

MLflow's four JSON payloads and CSV treat a binary column in four ways (decoded bytes, the bytes of the base64 text, the
text itself; a JSON null becomes ``b"None"`` or ``"None"``), so a cell is read by what it holds: the first bytes of a
picture file, else base64, else a data URL. The text ``None``, ``nan`` and the empty text are missing cells, everywhere.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

import numpy as np

from cross_modal.data.decode import FORMATS
from cross_modal.errors import CrossModalError
from cross_modal_mlflow.request_files import FileAccess

_STARTS = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PNM = re.compile(rb"P[1-6][\s#]")
_DATA_URL = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)
_MISSING = frozenset({"", "None", "nan"})
_BLANK = str.maketrans("", "", " \t\r\n")


def is_missing(cell: Any) -> bool:
    """Whether a cell holds nothing: None, NaN, the empty text, or what MLflow makes of a JSON null.

    >>> [is_missing(cell) for cell in (None, float("nan"), b"", b"None", "a cat")]
    [True, True, True, True, False]
    """
    if cell is None:
        return True
    if isinstance(cell, bytes):
        return len(cell) <= 4 and cell.decode("latin-1") in _MISSING
    if isinstance(cell, str):
        return cell in _MISSING
    if np.ndim(cell) or not np.isscalar(cell):
        return type(cell).__name__ in {"NAType", "NaTType"}
    return cell != cell  # NaN


def text_cell(cell: Any) -> str | None:
    """A word: text as it is, whole numbers as their digits (which is what CSV makes of them).

    Args:
        cell: What arrived.

    Returns:
        The text; None where the cell is missing.

    Raises:
        CrossModalError: It is something else.

    >>> text_cell("a cat"), text_cell(3.0), text_cell(b"dog"), text_cell(None)
    ('a cat', '3', 'dog', None)
    """
    if isinstance(cell, bytes | bytearray):
        try:
            cell = bytes(cell).decode()
        except UnicodeDecodeError:
            raise CrossModalError(f"expected text, found {len(cell)} bytes that are no UTF-8") from None
    if is_missing(cell):
        return None
    if isinstance(cell, str):
        if not cell.isascii() and any("\ud800" <= letter <= "\udfff" for letter in cell):
            raise CrossModalError("expected text, found half of a surrogate pair")
        return str(cell)
    if isinstance(cell, bool | np.bool_):
        return str(bool(cell))
    if isinstance(cell, int | float | np.integer | np.floating):
        number = float(cell)
        return str(int(cell)) if number.is_integer() else str(number)
    raise CrossModalError(f"expected text, found {type(cell).__name__}")


def image_cell(cell: Any, files: FileAccess) -> bytes | np.ndarray | None:
    r"""A picture, still encoded.

    Args:
        cell: Encoded bytes, base64 as text or as the bytes of the text, a data URL, an array or a PIL picture; where
            that is switched on, a path or a URL.
        files: What is switched on.

    Returns:
        Encoded bytes, or a uint8 array; None where the cell is missing.

    Raises:
        CrossModalError: It is something else.

    >>> image_cell("Qk0AAA==", FileAccess())
    b'BM\x00\x00'
    """
    if isinstance(cell, bytearray | memoryview):
        cell = bytes(cell)
    if is_missing(cell):
        return None
    if isinstance(cell, bytes):
        return _picture_of_bytes(bytes(cell), files)
    if isinstance(cell, str):
        return _picture_of_text(str(cell), files)
    if isinstance(cell, np.ndarray):
        return cell
    if hasattr(cell, "getexif"):  # a PIL picture, without importing PIL for all others
        return _picture_of_pil(cell)
    raise CrossModalError(f"expected an encoded picture, as bytes or base64, found {type(cell).__name__}")


def starts_like_a_picture(content: bytes) -> bool:
    """Whether the first bytes are those of a format that is read.

    >>> starts_like_a_picture(b"BM12"), starts_like_a_picture(b"hello")
    (True, False)
    """
    return (
        content.startswith(_STARTS)
        or (content[:4] == b"RIFF" and content[8:12] == b"WEBP")
        or content[4:8] == b"ftyp"
        or _PNM.match(content) is not None
    )


def _picture_of_bytes(content: bytes, files: FileAccess) -> bytes:
    if starts_like_a_picture(content):
        return content
    rest = _behind_data_url(content)
    if rest is not None:
        return rest
    try:
        text = content.decode("ascii")
    except UnicodeDecodeError:
        raise CrossModalError(
            f"expected an encoded picture ({', '.join(FORMATS)}), found {len(content)} bytes of something else"
        ) from None
    return _picture_of_text(text, files)


def _behind_data_url(content: bytes) -> bytes | None:
    """The picture behind a data URL that was base64-decoded as a whole, its ``:``, ``;`` and ``,`` left out.

    MLflow does that in ``dataframe_split`` and ``dataframe_records``. Where the prefix has a multiple of four letters
    (jpeg, webp, avif, tiff), what follows is unharmed; all others MLflow refuses itself.
    """
    prefix = base64.b64encode(content[:48])
    end = prefix.find(b"base64") + len(b"base64")
    if not prefix.startswith(b"dataimage/") or end < len(b"dataimage/base64") or end % 4:
        return None
    rest = content[end // 4 * 3 :]
    return rest if starts_like_a_picture(rest) else None


def _picture_of_text(text: str, files: FileAccess) -> bytes:
    found = _DATA_URL.match(text)
    encoded = text[found.end() :] if found else text
    try:
        content = base64.b64decode(encoded.translate(_BLANK), validate=True)
    except (binascii.Error, ValueError):  # ValueError: letters beyond ASCII
        content = b""
    if starts_like_a_picture(content):
        return content
    if found or text[:5].lower() == "data:":
        raise CrossModalError(
            f"expected a data URL of a picture ({', '.join(FORMATS)}) in base64, found {text[:30]!r}…"
        )
    if content and len(text) > 64:  # base64 of something; too long for a path that somebody typed
        raise CrossModalError(
            f"expected an encoded picture ({', '.join(FORMATS)}), found base64 of {len(content)} bytes of another kind"
        )
    return _checked(files.read(text), text)


def _checked(content: bytes, name: str) -> bytes:
    if not starts_like_a_picture(content):
        raise CrossModalError(f"expected a picture ({', '.join(FORMATS)}), found {name[:60]!r} to hold something else")
    return content


def _picture_of_pil(image: Any) -> np.ndarray:
    from PIL import ImageOps

    from cross_modal.data.decode import one_line, to_eight_bits

    try:
        upright = ImageOps.exif_transpose(image)
        channels = 1 if upright.mode in {"1", "L"} and not upright.has_transparency_data else 3
        return np.asarray(to_eight_bits(upright, channels))
    except Exception as error:  # a lazily opened picture meets its broken file only now
        raise CrossModalError(f"expected a picture that can be decoded, found: {one_line(error)}") from None
