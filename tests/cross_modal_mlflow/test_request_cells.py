"""Cells are read by what they hold, whatever the way through MLflow has made of them."""

import base64
import io
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from toys.requests import in_base64, picture

from cross_modal.data.decode import decode
from cross_modal.errors import CrossModalError
from cross_modal_mlflow.request_cells import image_cell, text_cell
from cross_modal_mlflow.request_files import FileAccess

NONE = FileAccess()
KINDS = ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF"]
MISSING = [None, float("nan"), np.nan, pd.NA, pd.NaT, "", b"", "None", b"None", "nan", np.bytes_(b"None")]


class TestPictures:
    @pytest.mark.parametrize("kind", KINDS)
    def test_each_format_arrives_as_bytes_base64_and_data_url(self, kind: str) -> None:
        cell = picture(1, kind, side=64)
        text = in_base64(cell)
        url = f"data:image/{kind.lower()};base64,{text}"
        wrapped = base64.encodebytes(cell)  # lines of 76 letters, as the program base64 writes
        for sent in (cell, bytearray(cell), text, text.encode(), np.bytes_(text.encode()), url, url.encode(), wrapped):
            assert image_cell(sent, NONE) == cell

    @pytest.mark.parametrize("kind", ["jpeg", "webp", "avif", "tiff"])
    def test_a_data_url_that_mlflow_has_decoded_as_a_whole_is_recovered(self, kind: str) -> None:
        cell = picture(1, kind.upper())
        as_mlflow_does = base64.decodebytes(f"data:image/{kind};base64,{in_base64(cell)}".encode())
        assert image_cell(as_mlflow_does, NONE) == cell

    @pytest.mark.parametrize("cell", MISSING)
    def test_missing_is_missing(self, cell: Any) -> None:
        assert image_cell(cell, NONE) is None

    def test_arrays_and_pil_pictures_stay_what_they_show(self) -> None:
        pixels = np.arange(16, dtype=np.uint8).reshape(4, 4)
        assert image_cell(pixels, NONE) is pixels
        for mode in ("L", "RGB", "RGBA", "P", "1", "I;16"):
            sent = Image.fromarray(pixels).convert(mode)
            got = image_cell(sent, NONE)
            file = io.BytesIO()
            sent.save(file, "PNG")
            assert np.array_equal(decode(got), decode(file.getvalue())), mode

    @pytest.mark.parametrize(
        ("cell", "found"),
        [
            (3, "found int"),
            (True, "found bool"),
            ([1, 2], "found list"),
            ({"b64": "QUJD"}, "found dict"),
            (b"\x00\x01\xfe\xff", "found 4 bytes of something else"),
            ("not base64!", r"found the text 'not base64!' \(paths are refused"),
            ("QUJD", r"found the text 'QUJD' \(paths are refused"),
            (in_base64(b"x" * 60), "found base64 of 60 bytes of another kind"),
            ("data:image/png;base64,QUJD", "expected a data URL of a picture"),
            ("data:image/svg+xml,<svg/>", "expected a data URL of a picture"),
            ("/etc/passwd", "paths are refused"),
            ("https://example.org/a.png", "URLs are refused"),
            (b"file:///etc/passwd", "URLs are refused"),
            ("ü" * 200, "paths are refused"),
        ],
    )
    def test_anything_else_is_named_in_one_short_line(self, cell: Any, found: str) -> None:
        with pytest.raises(CrossModalError, match=found) as error:
            image_cell(cell, NONE)
        assert "\n" not in str(error.value)
        assert len(str(error.value)) < 300

    def test_a_path_is_read_where_that_is_switched_on(self, tmp_path: Any) -> None:
        (tmp_path / "a.png").write_bytes(picture(1))
        (tmp_path / "b.txt").write_text("hello")
        assert image_cell(str(tmp_path / "a.png"), FileAccess(paths=True)) == picture(1)
        with pytest.raises(CrossModalError, match=r"expected a picture .* to hold something else"):
            image_cell(str(tmp_path / "b.txt"), FileAccess(paths=True))


class TestTexts:
    @pytest.mark.parametrize(
        ("cell", "text"),
        [("a cat", "a cat"), (np.str_("a"), "a"), ("Ω", "Ω"), (7, "7"), (7.0, "7"), (1.5, "1.5"), (True, "True")],
    )
    def test_words_and_numbers_are_what_csv_makes_of_them(self, cell: Any, text: str) -> None:
        assert text_cell(cell) == text
        assert type(text_cell(cell)) is str

    @pytest.mark.parametrize("cell", MISSING)
    def test_missing_is_missing(self, cell: Any) -> None:
        assert text_cell(cell) is None

    @pytest.mark.parametrize("cell", [["a"], {"a": 1}, b"\xff\xfe", "\ud800", np.zeros(2)])
    def test_anything_else_is_refused(self, cell: Any) -> None:
        with pytest.raises(CrossModalError, match="expected text, found"):
            text_cell(cell)

    def test_infinity_is_a_word_too(self) -> None:
        assert text_cell(float("inf")) == "inf"
