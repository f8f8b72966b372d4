"""The Audit page on a real run, and on a gallery with planted faults."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from cross_modal.gallery.gallery import Gallery
from cross_modal_dashboards.audit_view import audit_of, duplicates_table
from cross_modal_dashboards.catalogue import Catalogue

Open = Callable[..., AppTest]
SECTIONS = ["Labels", "Near-duplicates", "Classes", "Hardest negatives"]


@pytest.fixture
def gallery(explored: Any) -> str:
    return str(Catalogue().run(explored.run_id).gallery)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_shows_what_the_library_says(explored: Any, gallery: str, open_view: Open, section: str) -> None:
    test = open_view("audit", section=section)
    assert not test.exception
    assert not test.error
    with Gallery.open(gallery) as opened:
        found = audit_of(opened)
        wanted = {
            "Labels": found.mislabelled,
            "Near-duplicates": duplicates_table(opened, "image", 0.98, False),
            "Classes": found.confusable,
            "Hardest negatives": found.negatives(),
        }[section]
    if len(wanted):
        pd.testing.assert_frame_equal(test.dataframe[0].value.reset_index(drop=True), wanted, check_dtype=False)
    else:
        assert test.success


def test_another_label_in_the_gallery_is_doubted_on_the_page(
    explored: Any, gallery: str, open_view: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.gallery"
    shutil.copytree(gallery, copy)
    with Gallery.open(copy) as opened:
        rows = opened.rows(columns=opened.columns)
        pictures = [row for row in rows.to_pylist() if row["kind"] == "image"]
        victim = pictures[0]
        other = next(row["label"] for row in pictures if row["label"] != victim["label"])
        one = pa.Table.from_pylist([victim | {"label": other}], schema=rows.schema)
        twins = [victim | {"id": f"copy {number}"} for number in range(4)]
        opened.upsert(pa.concat_tables([one, pa.Table.from_pylist(twins, schema=rows.schema)]))
        wanted = audit_of(opened).mislabelled
    monkeypatch.setattr("cross_modal_dashboards.choice.Choice.gallery", property(lambda self: str(copy)))
    test = open_view("audit")
    shown = test.dataframe[0].value
    assert victim["id"] in shown["id"].tolist()
    assert shown["id"].tolist() == wanted["id"].tolist()
    assert shown.set_index("id").loc[victim["id"], "suggested"] == victim["label"]


def test_one_split_is_said_and_the_command_for_more_named(explored: Any, open_view: Open) -> None:
    test = open_view("audit", section="Near-duplicates")
    assert "--split all" in test.info[0].value


def test_a_higher_threshold_leaves_fewer_pairs(explored: Any, open_view: Open) -> None:
    low = open_view("audit", section="Near-duplicates", **{"from": "0.5"})
    high = open_view("audit", section="Near-duplicates", **{"from": "0.99"})
    assert len(low.dataframe[0].value) > (len(high.dataframe[0].value) if high.dataframe else 0)


def test_a_gallery_that_is_gone_is_one_sentence(
    explored: Any, open_view: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(
        "cross_modal_dashboards.choice.Choice.gallery", property(lambda self: str(tmp_path / "gone.gallery"))
    )
    test = open_view("audit")
    assert not test.exception
    assert "gone.gallery" in test.error[0].value


def changed_copy(gallery: str, folder: Path, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> Path:
    """A copy of a gallery in which rows were changed."""
    copy = folder / "copy.gallery"
    shutil.copytree(gallery, copy)
    with Gallery.open(copy) as opened:
        rows = opened.rows(columns=opened.columns)
        opened.upsert(pa.Table.from_pylist(change(rows.to_pylist()), schema=rows.schema))
    return copy


def shown_from(monkeypatch: pytest.MonkeyPatch, copy: Path) -> None:
    monkeypatch.setattr("cross_modal_dashboards.choice.Choice.gallery", property(lambda self: str(copy)))


def test_a_duplicate_planted_in_another_split_is_the_first_leak_of_the_page(
    explored: Any, gallery: str, open_view: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def plant(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        victim = next(row for row in rows if row["kind"] == "image")
        return [victim | {"id": "a leak", "split": "train"}]

    shown_from(monkeypatch, changed_copy(gallery, tmp_path, plant))
    test = open_view("audit", section="Near-duplicates", **{"from": "0.9999"})
    assert not test.exception
    assert test.toggle(key="across").value  # two splits: leakage is what is asked for
    table = test.dataframe[0].value
    assert "a leak" in table.loc[0, ["id a", "id b"]].tolist()
    assert bool(table.loc[0, "identical"])
    assert (table["split a"] != table["split b"]).all()
    assert any(text.value.startswith("test and train share ") for text in test.text)


@pytest.mark.parametrize("section", SECTIONS)
def test_one_class_says_what_is_missing_and_still_has_duplicates(
    explored: Any, gallery: str, open_view: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, section: str
) -> None:
    shown_from(monkeypatch, changed_copy(gallery, tmp_path, lambda rows: [row | {"label": "one"} for row in rows]))
    test = open_view("audit", section=section, **{"from": "0.5"})
    assert not test.exception
    if section == "Near-duplicates":
        assert len(test.dataframe[0].value)
    else:
        assert "expected items of two labels or more to audit, found 1" in test.error[0].value


@pytest.mark.parametrize("section", SECTIONS)
def test_an_empty_gallery_is_one_sentence(
    explored: Any, gallery: str, open_view: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, section: str
) -> None:
    with Gallery.open(gallery) as opened:
        Gallery.create(str(tmp_path / "empty.gallery"), opened.binding).close()
    shown_from(monkeypatch, tmp_path / "empty.gallery")
    test = open_view("audit", section=section)
    assert not test.exception
    assert [error.value for error in test.error] == [
        f"gallery {tmp_path / 'empty.gallery'}: expected items to audit, found none"
    ]
