"""The gallery's page stands alone, escapes everything, stretches nothing, and speaks to those who cannot see it."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.gallery_page import Section, Tile, gallery_page, media_type, write_page

EVIL = '<script>alert("x")</script>&"\''


def picture(form: str, size: tuple[int, int] = (9, 5)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, "red").save(file, form)
    return file.getvalue()


class Reader(HTMLParser):
    """Tags with their attributes, and the text of the page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "img"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@given(st.text(max_size=40), st.text(max_size=40))
def test_text_of_the_data_stays_text(a: str, b: str) -> None:
    page = gallery_page(a, [Section(b, [Tile(a, None, b, a, [b], alt=a), Tile(a, picture("PNG"), b, b, [a], alt=b)])])
    expected = gallery_page("x", [Section("x", [Tile("x", None, "x", "x", ["x"], alt="x")] * 2)])
    assert {tag for tag, _ in Reader(page).tags} <= {tag for tag, _ in Reader(expected).tags} | {"img", "ol", "p"}
    page.encode()


def test_nothing_of_the_data_becomes_markup() -> None:
    tile = Tile(EVIL, picture("PNG"), EVIL, EVIL, [EVIL], EVIL, "right", EVIL)
    page = gallery_page(EVIL, [Section(EVIL, [tile], [tile], EVIL, [EVIL], EVIL)], [EVIL])
    reader = Reader(page)
    assert reader.open == []
    assert "script" not in {tag for tag, _ in reader.tags}
    assert {name for _, attributes in reader.tags for name in attributes} <= {
        "lang", "charset", "name", "content", "http-equiv", "class", "aria-label", "alt", "src"
    }  # fmt: skip
    assert "".join(reader.text).count(EVIL) == 16
    assert [attributes["alt"] for tag, attributes in reader.tags if tag == "img"] == [EVIL, EVIL]


def test_the_page_needs_no_network_and_runs_nothing() -> None:
    page = gallery_page("t", [Section("h", [Tile("a", picture("WEBP"))])])
    assert not re.search(r"https?://|url\(|@import|\son\w+=", page)
    assert "default-src 'none'" in page
    (source,) = [attributes["src"] for tag, attributes in Reader(page).tags if tag == "img"]
    assert source is not None
    kind, _, data = source.partition(";base64,")
    assert kind == "data:image/webp"
    assert base64.b64decode(data) == picture("WEBP")


@pytest.mark.parametrize(("form", "kind"), [("PNG", "png"), ("JPEG", "jpeg"), ("WEBP", "webp"), ("GIF", "gif")])
def test_a_picture_is_what_its_bytes_say(form: str, kind: str) -> None:
    assert media_type(picture(form)) == f"image/{kind}"


@pytest.mark.parametrize("content", [b"", b"RIFF", b"<svg onload=alert(1)>", b"\x89PNG", b"not a picture"])
def test_bytes_that_are_no_picture_show_the_words(content: bytes) -> None:
    page = gallery_page("t", [Section("h", [Tile("name", content, "words")])])
    assert media_type(content) is None
    assert "<img" not in page
    assert '<span class="words">words</span>' in page


def test_pictures_keep_their_proportions() -> None:
    page = gallery_page("t", [Section("h", [Tile("a", picture("PNG"))])])
    rule = re.search(r"\.picture img\{([^}]*)\}", page)
    assert rule is not None
    assert "object-fit:contain" in rule[1]


def test_light_and_dark() -> None:
    page = gallery_page("t", [])
    names = re.findall(r":root\{(.*?)\}", page, re.S)
    light, dark = (set(re.findall(r"--(\w+):", block)) for block in names)
    assert "color-scheme:light dark" in names[0]
    assert light == dark
    assert set(re.findall(r"var\(--(\w+)\)", page)) <= light


def test_every_picture_is_told_to_those_who_cannot_see_it() -> None:
    tiles = [Tile("shoe", picture("PNG"), "a red shoe", state="wrong"), Tile("x", picture("PNG"), alt="my own words")]
    images = [attributes for tag, attributes in Reader(gallery_page("t", [Section("h", tiles)])).tags if tag == "img"]
    assert [image["alt"] for image in images] == ["picture · shoe · a red shoe · of another class", "my own words"]


def test_nothing_found_is_said() -> None:
    page = gallery_page("t", [Section("h", empty="no item has label = zebra", badge="exact, 0 references, 1 ms")])
    assert "no item has label = zebra" in page
    assert '<span class="badge">exact, 0 references, 1 ms</span>' in page
    assert "<ol" not in page


def test_a_page_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    write_page(file, "one \ud800")
    write_page(file, "two")
    assert file.read_text() == "two"
    assert list(tmp_path.iterdir()) == [file]
    with pytest.raises(CrossModalError, match=r"--html .*missing.*: the page could not be written"):
        write_page(tmp_path / "missing" / "page.html", "three")
    (tmp_path / "folder").mkdir()
    with pytest.raises(CrossModalError, match="could not be written"):
        write_page(tmp_path / "folder", "four")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["folder", "page.html"]
