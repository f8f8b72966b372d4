"""A dataset's source as MLflow keeps it, and the way back to the very same items."""

import json
from pathlib import Path

import pytest

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.dataset.items_source import ItemsSource


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A manifest without splits in the working folder: ten classes of two texts."""
    monkeypatch.chdir(tmp_path)
    lines = [f"text {label} {number},{label}" for label in "abcdefghij" for number in range(2)]
    (tmp_path / "words.csv").write_text("\n".join(["text,label", *lines]) + "\n")
    return tmp_path / "words.csv"


def test_only_its_own_scheme_is_resolved() -> None:
    assert ItemsSource._can_resolve("items:glyphs")
    for other in ("glyphs", "s3://bucket/items:x", None, 3):
        assert not ItemsSource._can_resolve(other)
    assert ItemsSource._resolve("items:glyphs").source == "glyphs"


def test_json_and_back_keeps_everything() -> None:
    source = ItemsSource("glyphs", "test", "ab12", {"seed": 3, "test_share": 0.5})
    back = ItemsSource.from_json(source.to_json())
    assert (back.source, back.split, back.digest, back.settings) == (
        "glyphs",
        "test",
        "ab12",
        {"seed": 3, "test_share": 0.5},
    )


def test_a_path_is_kept_whole_and_built_in_names_as_they_are(manifest: Path) -> None:
    (manifest.parent / "glyphs").mkdir()
    assert ItemsSource("words.csv").to_dict()["uri"] == f"items:{manifest}"
    assert ItemsSource("glyphs").to_dict()["uri"] == "items:glyphs"
    assert ItemsSource("torchvision:MNIST").to_dict()["uri"] == "items:torchvision:MNIST"
    shards = ItemsSource("webdataset:a-{0..3}.tar").to_dict()["uri"]
    assert shards == f"items:webdataset:{manifest.parent}/a-{{0..3}}.tar"


def test_only_settings_that_decide_the_items_are_kept() -> None:
    assert ItemsSource("glyphs", settings={"seed": 1, "workers": 900}).to_dict()["settings"] == {"seed": 1}


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"uri": "items:x", "settings": "seed"},
        {"uri": "items:x", "settings": {"seed": "7", "workers": 10_000, "max_pixels": 10**12}},
        {"uri": "items:x", "split": 3, "digest": ["a"]},
    ],
)
def test_whatever_stands_in_the_store_only_what_is_sound_is_taken(said: dict[str, object]) -> None:
    source = ItemsSource.from_dict(json.loads(json.dumps(said)))
    assert (source.split, source.digest, source.settings) == (None, None, {})


def test_the_items_come_back_with_their_splits(manifest: Path) -> None:
    items = ItemsSource("words.csv").load()
    assert len(items) == 20
    assert set(items.splits.tolist()) == {"train", "validation", "test"}  # type: ignore[union-attr]


def test_the_logged_settings_decide_the_splits_and_the_caller_may_change_them(manifest: Path) -> None:
    source = ItemsSource("words.csv", "test", settings={"test_share": 0.5})
    assert len(source.load().classes) == 5
    assert len(source.load(test_share=0.2).classes) == 2


def test_items_that_changed_are_not_given_back(manifest: Path) -> None:
    digest = ItemsSource("words.csv").load().digest
    known = ItemsSource("words.csv", digest=digest)
    assert known.load().digest == digest
    with pytest.raises(CrossModalError, match=f"expected items of the digest {digest}, found"):
        known.load(test_share=0.5)
    manifest.write_text(manifest.read_text().replace("text a 0", "text a 7"))
    with pytest.raises(CrossModalError, match="they changed"):
        known.load()


def test_loading_from_another_working_folder_needs_consent(
    manifest: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = ItemsSource.from_json(ItemsSource("words.csv").to_json())
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    with pytest.raises(CrossModalError, match="inside the working folder"):
        source.load()
    assert len(source.load(consent=True)) == 20


def test_classes_that_straddle_the_splits_of_the_data_come_back_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "known.csv").write_text("text,label,split\nx1,x,train\ny1,y,train\nx2,x,test\ny2,y,test\n")
    assert ItemsSource("known.csv", "test").load().texts.tolist() == ["x2", "y2"]


def test_a_command_in_the_store_is_not_run(manifest: Path) -> None:
    with pytest.raises(CrossModalError, match="a command or an address"):
        ItemsSource.from_dict({"uri": "items:webdataset:pipe:touch hacked"}).load(consent=True)
    assert not (manifest.parent / "hacked").exists()
