"""Files in the formats of CoOp and of cross-modal adaptation are read as their own code reads them."""

import json

import pytest

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.kshot_split import kshot_split
from cross_modal.fewshot.published_splits import read_coop_split, read_kshot_indices, read_split

FOLDER = "./data/caltech-101/101_ObjectCategories/"


def coop():
    """As `split_zhou_Caltech101.json` is written: lists of [path, label, class name]."""
    return {
        "train": [
            ["Faces/image_0274.jpg", 0, "face"],
            ["Faces/image_0339.jpg", 0, "face"],
            ["Leopards/image_0123.jpg", 1, "leopard"],
        ],
        "val": [["Leopards/image_0004.jpg", 1, "leopard"], ["Faces/image_0007.jpg", 0, "face"]],
        "test": [["accordion/image_0043.jpg", 2, "accordion"], ["Faces/image_0001.jpg", 0, "face"]],
    }


def indices():
    """As `indices/caltech101/shot_1-seed_1.json` is written."""

    def part(*rows):
        data = [{"impath": FOLDER + path, "label": label, "classname": name} for path, label, name in rows]
        return {"data": data, "indices": list(range(len(data)))}

    return {
        "train": part(("Faces/image_0201.jpg", 0, "face"), ("Leopards/image_0123.jpg", 1, "leopard")),
        "val": part(("Faces/image_0007.jpg", 0, "face"), ("Leopards/image_0004.jpg", 1, "leopard")),
    }


def written(folder, content, name="shot_1-seed_2.json"):
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content, indent=4))
    return path


def test_coop_gives_whole_splits_by_class_name_in_the_order_of_labels(tmp_path):
    split = read_coop_split(written(tmp_path, coop()))
    assert split.classes == ("face", "leopard", "accordion")
    assert split.train == {
        "face": ["Faces/image_0274.jpg", "Faces/image_0339.jpg"],
        "leopard": ["Leopards/image_0123.jpg"],
        "accordion": [],
    }
    assert split.validation["leopard"] == ["Leopards/image_0004.jpg"]
    assert split.test_items == ["Faces/image_0001.jpg", "accordion/image_0043.jpg"]


def test_shots_are_drawn_from_coop(tmp_path):
    split = read_coop_split(written(tmp_path, coop()))
    drawn = kshot_split(split.train, split.validation, 1, seed=1, allow_fewer=True, test=split.test_items)
    assert drawn.support["leopard"] == ["Leopards/image_0123.jpg"]
    assert drawn.short == {"accordion": 0}


def test_labels_with_one_name_stay_apart(tmp_path):
    content = coop()
    content["train"] += [["a.jpg", 134, "crane"], ["b.jpg", 517, "crane"]]
    assert read_coop_split(written(tmp_path, content)).classes[-2:] == ("crane (134)", "crane (517)")


def test_labels_may_be_digits_as_their_reader_converts_them(tmp_path):
    content = coop()
    content["train"][0][1] = "0"
    assert len(read_coop_split(written(tmp_path, content)).train["face"]) == 2


def test_indices_give_the_split_that_the_file_names(tmp_path):
    split = read_kshot_indices(written(tmp_path, indices()), prefix=FOLDER)
    assert (split.shots, split.seed, split.short) == (1, 2, {})
    assert split.support == {"face": ["Faces/image_0201.jpg"], "leopard": ["Leopards/image_0123.jpg"]}
    assert split.validation["face"] == ["Faces/image_0007.jpg"]
    whole = read_kshot_indices(written(tmp_path, indices()))
    assert whole.support["face"] == [FOLDER + "Faces/image_0201.jpg"]


def test_a_class_with_fewer_shots_is_listed(tmp_path):
    split = read_kshot_indices(written(tmp_path, indices(), "shot_4-seed_3.json"))
    assert (split.shots, split.seed, split.short) == (4, 3, {"face": 1, "leopard": 1})
    assert read_kshot_indices(written(tmp_path, indices(), "mine.json"), shots=2, seed=9).seed == 9


def test_the_format_is_recognised(tmp_path):
    ours = kshot_split({"a": ["1", "2"]}, None, 1, 1)
    assert read_split(written(tmp_path, ours.to_json())) == ours
    assert read_split(written(tmp_path, indices()), FOLDER).shots == 1
    assert read_split(written(tmp_path, coop())).classes[0] == "face"


def spoil(content, part, row, value):
    rows = content[part] if isinstance(content[part], list) else content[part]["data"]
    rows[row] = value
    return content


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("no json", "expected JSON"),
        ("[1]", "expected an object"),
        ({"train": [], "val": []}, 'expected a list "test"'),
        (spoil(coop(), "val", 1, ["x.jpg", 0]), r"val row 1: expected \[path, label, class name\]"),
        (spoil(coop(), "val", 1, ["x.jpg", True, "face"]), "val row 1"),
        (spoil(coop(), "train", 1, ["x.jpg", 0, "nose"]), "label 0: expected one class name, found 'face' and 'nose'"),
        (spoil(coop(), "val", 0, coop()["train"][2]), "'Leopards/image_0123.jpg': expected one place"),
        (spoil(coop(), "train", 0, ["Leopards/image_0123.jpg", 0, "face"]), "train as 'face' and train as 'leopard'"),
    ],
)
def test_a_spoilt_coop_file_is_refused(tmp_path, content, what):
    with pytest.raises(CrossModalError, match=what):
        read_coop_split(written(tmp_path, content))


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (coop(), '"train" with a list "data"'),
        (indices() | {"val": {"data": [], "indices": [1]}}, "val: expected as many indices"),
        (spoil(indices(), "train", 0, {"impath": "x.jpg"}), "train row 0: expected impath, label, classname"),
        (spoil(indices(), "train", 0, {"impath": "x", "label": 0, "classname": "face"}), "expected a path below"),
        (spoil(indices(), "train", 1, indices()["val"]["data"][1]), "expected one place"),
        (spoil(indices(), "train", 1, {"impath": FOLDER + "y", "label": 0, "classname": "face"}), "at most 1 support"),
    ],
)
def test_a_spoilt_index_file_is_refused(tmp_path, content, what):
    with pytest.raises(CrossModalError, match=what):
        read_kshot_indices(written(tmp_path, content), prefix=FOLDER)


def test_a_file_that_does_not_say_its_seed_is_refused(tmp_path):
    with pytest.raises(CrossModalError, match=r"shot_4-seed_1\.json"):
        read_kshot_indices(written(tmp_path, indices(), "split.json"))
    with pytest.raises(CrossModalError, match="found none"):
        read_split(tmp_path / "missing.json")
