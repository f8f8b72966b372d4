import numpy as np

from cross_modal.data.items import Items
from cross_modal_mlflow.match_page import Match, caption, match_page, thumbnail


def items() -> Items:
    return Items.of(
        images=[np.full((4, 6), 200, np.uint8), None, b"no picture"],
        texts=["a cat", "<script>alert(1)</script>", None],
        labels=["cat", "dog", "cow"],
    )


def test_text_of_the_data_is_escaped() -> None:
    match = Match("text → picture", 1, np.array([0, 2]), np.array([0.9, 0.1]), np.array([False, True]))
    page = match_page(items(), [[match], []], "Matches on <b>")
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "Matches on &lt;b&gt;" in page
    assert page.count("data:image/png;base64,") == 1  # the unreadable one is shown by its name
    assert page.index('class="cell wrong"') < page.index('class="cell right"')
    assert "0.900" in page


def test_thumbnails_are_square_and_missing_ones_none() -> None:
    thumb = thumbnail(items(), 0, 8)
    assert thumb is not None
    assert thumb.shape == (8, 8, 3)
    assert thumbnail(items(), 1) is None
    assert thumbnail(items(), 2) is None


def test_captions() -> None:
    assert caption(items(), 0) == "cat · a cat"
    assert caption(items(), 2) == "cow"
    assert caption(Items.of(texts=[None], images=[None]), 0) == "memory item 1"
