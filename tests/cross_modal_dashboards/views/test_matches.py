"""The Matches page: what it shows is what the library answers."""

import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from cross_modal.gallery.gallery import Gallery
from cross_modal_dashboards.match_query import MatchQuery, answer
from cross_modal_dashboards.resources import Model, model


def view(request: pytest.FixtureRequest, **state: str) -> AppTest:
    return request.getfixturevalue("open_view")("matches", **state)


def own_answer(run: object, text: str) -> tuple[Gallery, list[str]]:
    found = model(run.uri, run.run_id)  # type: ignore[attr-defined]
    assert isinstance(found, Model)
    gallery = Gallery.open(run.folder / "galleries" / f"{run.run_id}.gallery")  # type: ignore[attr-defined]
    query = MatchQuery(text=text).query(found.twin)
    return gallery, [hit.id for hit in answer(gallery, found.twin, query, ["kind=image"], 20).hits]


def shown(test: AppTest) -> str:
    return " ".join(str(each.value) for each in [*test.markdown, *test.caption, *test.text, *test.info, *test.error])


def test_a_link_shows_its_matches(explored: object, request: pytest.FixtureRequest) -> None:
    test = view(request, text="ring size 3")
    assert not test.exception
    gallery, ids = own_answer(explored, "ring size 3")
    assert f"{len(ids)} nearest" in shown(test)
    assert "“ring size 3”" in shown(test)
    assert f"of {len(gallery):,} references" in shown(test)


def test_without_a_query_it_says_what_to_type(explored: object, request: pytest.FixtureRequest) -> None:
    test = view(request)
    assert not test.exception
    assert "Type what you look for" in shown(test)


def test_a_filter_that_is_none_is_one_line(explored: object, request: pytest.FixtureRequest) -> None:
    test = view(request, text="ring", where="colour=red")
    assert [each.value for each in test.error if "colour" in each.value]
    assert not test.exception


def test_a_file_of_the_server_is_not_opened(explored: object, request: pytest.FixtureRequest) -> None:
    test = view(request, query="image:/etc/passwd")
    assert "upload the picture instead" in test.error[0].value


def test_a_link_to_a_run_that_is_not_here_says_so(explored: object, request: pytest.FixtureRequest) -> None:
    test = view(request, run="0" * 32, text="ring")
    assert "expected a run with a twin" in test.error[0].value


def test_a_gallery_that_is_gone_is_one_line(explored: object, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    place = explored.folder / "galleries" / f"{explored.run_id}.gallery"  # type: ignore[attr-defined]
    shutil.move(place, tmp_path / "away")
    try:
        test = view(request, text="ring")
        assert "found nothing there" in test.error[0].value
    finally:
        shutil.move(tmp_path / "away", place)


def test_a_broken_gallery_is_one_line(explored: object, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    place = explored.folder / "galleries" / f"{explored.run_id}.gallery"  # type: ignore[attr-defined]
    shutil.copytree(place, tmp_path / "kept")
    try:
        for file in place.rglob("*"):
            if file.is_file():
                file.write_bytes(b"broken")
        test = view(request, text="ring")
        assert len(test.error) == 1
        assert "\n" not in test.error[0].value
        assert not test.exception
    finally:
        shutil.rmtree(place)
        shutil.move(tmp_path / "kept", place)
