"""Few-shot items as an MLflow dataset."""

import json
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.data.pyfunc_dataset_mixin import PyFuncConvertibleDatasetMixin
from toys.colours import colour_table

from cross_modal.data.items import Items
from cross_modal.errors import CrossModalError
from cross_modal_mlflow.dataset import ItemsDataset, ItemsSource, from_few_shot, profile


def test_a_dataset_says_what_it_is_and_where_from() -> None:
    items = Items.of(
        images=[np.zeros((2, 2), np.uint8), None], texts=["a", "b"], labels=["x", "y"], splits=["train", "train"]
    )
    dataset = ItemsDataset(items, "toy")
    said = dataset.to_dict()
    assert said["digest"] == items.digest
    assert json.loads(said["profile"])["classes"] == 2
    assert [column["name"] for column in json.loads(said["schema"])["mlflow_colspec"]] == ["image", "text", "label"]
    source = ItemsSource.from_dict(json.loads(said["source"]))
    assert (source.source, source.split, source.digest) == (items.source, "train", items.digest)


def test_counts_are_those_of_the_items() -> None:
    items = Items.of(images=[b"1", None], texts=["a", "b"], labels=["x", "y"])
    assert profile(items) == {"items": 2, "classes": 2, "pictures": 1, "texts": 2, "skipped": 0}


def test_it_is_made_from_a_source_and_loads_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [f"text {label} {number},{label}" for label in "abcdefgh" for number in range(3)]
    (tmp_path / "words.csv").write_text("\n".join(["text,label", *lines]) + "\n")
    dataset = mlflow.data.from_few_shot("words.csv", "test", test_share=0.5)  # type: ignore[attr-defined]
    assert dataset.name == "words.csv"
    assert len(dataset.items.classes) == 4
    back = ItemsSource.from_json(json.loads(dataset.to_json())["source"])
    assert back.load().digest == dataset.digest


def test_it_is_made_from_a_frame_with_its_leaks() -> None:
    table = pd.DataFrame({"text": ["a", "b", "c"], "bird": ["x", "x", "y"], "split": ["train", "test", "test"]})
    dataset = from_few_shot(table, "test", targets="bird", name="birds")
    assert (dataset.name, dataset.items.classes, dataset.targets) == ("birds", ["x", "y"], "label")
    assert dataset.leakage is not None
    assert dataset.leakage.sentences() == [
        "1 label in more than one split, the first: label 'x' is in train and test (2 items)"
    ]
    assert dataset.profile["leakage"]["labels"] == 1


def test_a_frame_may_say_where_it_came_from() -> None:
    table = pd.DataFrame({"text": ["a", "b"], "label": ["x", "y"]})
    assert from_few_shot(table, source="glyphs").source.source == "glyphs"
    with pytest.raises(CrossModalError, match="only in memory"):
        from_few_shot(table).source.load()


def test_two_datasets_of_one_content_have_one_digest_and_a_given_one_wins() -> None:
    table = colour_table()
    assert from_few_shot(table).digest == from_few_shot(table.copy()).digest
    assert from_few_shot(table).digest != from_few_shot(table[:-1]).digest
    assert from_few_shot(table, digest="mine").digest == "mine"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"data": 3}, "expected a source, a DataFrame or Items, found int"),
        ({"data": "glyphs", "sed": 3}, "expected fields of DataConfig .* found 'sed'"),
        ({"data": "nowhere.csv"}, "found no such file"),
        ({"data": pd.DataFrame({"text": ["a"], "split": ["train"]}), "split": "test"}, "in the split test, found none"),
        ({"data": pd.DataFrame({"text": ["a"]}), "split": "test"}, "expected assigned splits"),
        ({"data": pd.DataFrame({"text": ["a"], "split": ["train"]}), "split": "trial"}, "expected one of train"),
    ],
)
def test_what_cannot_be_a_dataset_is_said_in_one_line(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(CrossModalError, match=said) as caught:
        from_few_shot(**arguments)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_mlflow_can_evaluate_on_it() -> None:
    dataset = from_few_shot(colour_table(), name="colours")
    assert isinstance(dataset, PyFuncConvertibleDatasetMixin)
    found = dataset.to_evaluation_dataset()
    assert (found.name, found.digest, found.targets_name) == ("colours", dataset.digest, "label")
    assert list(found.features_data.columns) == ["image", "text"]
    assert found.labels_data[0] == "red"  # type: ignore[index]
    pyfunc = dataset.to_pyfunc()
    assert pyfunc.outputs is not None
    assert len(pyfunc.inputs) == len(pyfunc.outputs) == 48


def test_without_labels_there_are_no_targets() -> None:
    dataset = from_few_shot(pd.DataFrame({"text": ["a", "b"]}))
    assert dataset.targets is None
    assert dataset.to_pyfunc().outputs is None
    assert not dataset.to_evaluation_dataset().has_targets


def test_it_is_logged_with_a_run_and_found_again(workplace: Path) -> None:
    (workplace / "words.csv").write_text("text,label,split\na,x,train\nb,y,train\nc,z,test\n")
    uri = f"sqlite:///{workplace}/mlruns/mlflow.db"
    mlflow.set_tracking_uri(uri)
    try:
        mlflow.create_experiment("datasets", artifact_location=str(workplace / "artifacts"))
        mlflow.set_experiment("datasets")
        with mlflow.start_run() as run:
            mlflow.log_input(from_few_shot("words.csv", "test"), context="test")
        (found,) = mlflow.get_run(run.info.run_id).inputs.dataset_inputs
        source = mlflow.data.get_source(found)
        assert isinstance(source, ItemsSource)
        assert source.load().labels.tolist() == ["z"]  # type: ignore[union-attr]
    finally:
        mlflow.set_tracking_uri(None)  # type: ignore[arg-type]
