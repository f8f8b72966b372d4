"""Which gallery a page looks into: the run's own, or one that the explorer was started with."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from cross_modal.gallery.gallery import Gallery
from cross_modal_dashboards import known_galleries
from cross_modal_dashboards.catalogue import Catalogue
from cross_modal_mlflow.command_line import main

Open = Callable[..., AppTest]


@pytest.fixture
def other(explored: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A second gallery of the same twin, with one item fewer."""
    folder = tmp_path / "second.gallery"
    shutil.copytree(str(Catalogue().run(explored.run_id).gallery), folder)
    with Gallery.open(folder) as gallery:
        gallery.delete([str(gallery.matrix().ids[0])])
    monkeypatch.setenv(known_galleries.VARIABLE, f'["{folder}"]')
    return folder


def test_without_a_list_there_is_nothing_to_choose(explored: Any, open_view: Open) -> None:
    assert [each.label for each in open_view("matches").sidebar.selectbox] == ["Run"]


def test_the_runs_own_gallery_comes_first_and_the_other_by_its_name(
    explored: Any, other: Path, open_view: Open
) -> None:
    own, second = open_view("matches"), open_view("matches", gallery="second")
    assert own.sidebar.selectbox[1].options == ["the run's test items", "second"]
    numbers = [int(test.info[0].value.split(" ")[0].replace(",", "")) for test in (own, second)]
    assert numbers[1] == numbers[0] - 1
    assert second.query_params["gallery"] in ("second", ["second"])


def test_a_name_that_is_not_on_the_list_and_a_path_are_refused(explored: Any, other: Path, open_view: Open) -> None:
    for asked in ("third", str(other), "../second"):
        test = open_view("matches", gallery=asked)
        assert "expected one that the explorer was started with" in test.error[0].value
        assert not test.exception


def test_another_twins_gallery_is_refused(
    explored: Any, tmp_path: Path, open_view: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    with Gallery.open(str(Catalogue().run(explored.run_id).gallery)) as own:
        binding = replace(own.binding, digest="0" * len(own.binding.digest))
    Gallery.create(tmp_path / "strange.gallery", binding).close()
    monkeypatch.setenv(known_galleries.VARIABLE, f'["{tmp_path / "strange.gallery"}"]')
    test = open_view("matches", gallery="strange")
    assert "strange.gallery" in test.error[0].value
    assert not test.exception


def test_explore_refuses_a_gallery_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["explore", "--gallery", "nowhere"]) == 2
    assert "--gallery nowhere: expected a gallery's folder, found none" in capsys.readouterr().err


def test_a_registered_twin_is_picked_by_its_models_name(explored: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Catalogue().client
    client.create_registered_model("shapes")
    try:
        version = client.create_model_version("shapes", f"runs:/{explored.run_id}/model", explored.run_id)
        client.set_registered_model_alias("shapes", "champion", version.version)
        (run,) = Catalogue().runs()
        assert run.title.endswith(f"{explored.run_id[:8]} · shapes v1 @champion")
    finally:
        client.delete_registered_model("shapes")
