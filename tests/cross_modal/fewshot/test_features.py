"""Stored embeddings are read without unpickling, and everything wrong with them is one line."""

import hashlib

import numpy as np
import pytest
from toys.kshot_classes import points

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.features import read_features

CLASSES = np.array(["cat", "dog", "eel"])


def arrays(**changes):
    numbers = {
        "train": np.repeat(np.arange(3), 5),
        "val": np.repeat(np.arange(3), 2),
        "test": np.repeat(np.arange(3), 4),
    }
    made = {f"{split}_features": points(rows, seed) for seed, (split, rows) in enumerate(numbers.items(), 1)}
    made |= {f"{split}_labels": CLASSES[rows] for split, rows in numbers.items()}
    made |= {"text_features": points(np.arange(3), 9), "classes": CLASSES}
    made |= changes
    return {key: value for key, value in made.items() if value is not None}


@pytest.fixture
def file(tmp_path):
    def write(**changes):
        path = tmp_path / "birds.npz"
        np.savez(path, **arrays(**changes))
        return path

    return write


def test_a_whole_file_becomes_two_sides(file):
    path = file(extra=np.zeros(1))
    features = read_features(path)
    assert (features.name, features.ignored) == ("birds", ("extra",))
    assert features.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    learning, test = features.learning_side(), features.test_side()
    assert learning.labels.tolist() == CLASSES.tolist()
    assert (learning.train.shape, learning.validation.shape, learning.name) == ((15, 16), (6, 16), "birds")
    assert np.array_equal(learning.class_texts(CLASSES), arrays()["text_features"])
    assert np.array_equal(test.reveal()[0], arrays()["test_features"])
    assert set(learning.ids).isdisjoint(test.ids)


def test_the_four_needed_keys_are_enough(file):
    features = read_features(file(val_features=None, val_labels=None, text_features=None, classes=None))
    learning = features.learning_side()
    assert (learning.validation, learning.texts, learning.views) == (None, None, None)
    assert learning.labels.tolist() == CLASSES.tolist()


def test_integer_labels_beside_names_are_positions(file):
    numbers = {
        f"{split}_labels": np.repeat(np.arange(3), count) for split, count in (("train", 5), ("val", 2), ("test", 4))
    }
    features = read_features(file(**numbers))
    assert features.classes.tolist() == [0, 1, 2]
    assert features.class_names.tolist() == CLASSES.tolist()
    with pytest.raises(CrossModalError, match="test_labels: expected labels among classes, found 3"):
        read_features(file(**(numbers | {"test_labels": np.repeat(np.arange(1, 4), 4)})))


def test_own_ids_groups_and_views_are_kept(file):
    own = {
        f"{split}_ids": np.array([f"{split}{i}" for i in range(n)])
        for split, n in (("train", 15), ("val", 6), ("test", 12))
    }
    features = read_features(file(**own, train_groups=np.arange(15), train_views=np.ones((15, 3, 16), np.float16)))
    learning = features.learning_side()
    assert learning.ids[:2].tolist() == ["train0", "train1"]
    assert learning.groups.tolist() == list(range(15))
    assert learning.views.shape == (15, 3, 16)


def with_row(array, row, value):
    array = array.copy()
    array[row] = value
    return array


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"test_labels": None}, "expected the key test_labels, found classes, "),
        ({"val_labels": None}, "both val_features and val_labels"),
        ({"classes": None}, "expected classes"),
        ({"train_features": with_row(arrays()["train_features"], 4, np.nan)}, "train features: row 4: .*1 such rows"),
        ({"test_features": arrays()["test_features"][:, :8]}, r"test features: expected floats \(N, 16\), found.*8\)"),
        ({"text_features": points(np.arange(3), 9)[:, :8]}, r"texts: expected floats \(3, 16\)"),
        ({"train_features": np.ones(16, np.float32)}, "train features: expected floats"),
        ({"test_labels": CLASSES[[0]]}, "test labels: expected 12"),
        (
            {"test_labels": np.repeat(["cat", "dog", "emu"], 4)},
            "test_labels: expected labels among classes, found 'emu'",
        ),
        (
            {"classes": np.array(["cat", "dog", "eel", "emu"]), "text_features": points(np.arange(4), 9)},
            "class 'emu'.*none",
        ),
        ({"classes": np.array([1.5, 2, 3])}, "classes: expected integers or texts"),
        ({"val_labels": np.arange(6)}, "val labels: expected text"),
        ({"train_labels": np.array(list("abc") * 5, object)}, "train_labels: expected plain numbers or text"),
        (
            {"test_features": with_row(arrays()["test_features"], 7, arrays()["train_features"][3])},
            r"found equal features in train row 3 and in test row 7 \(1 such items\)",
        ),
        (
            {"val_features": with_row(arrays()["val_features"], 1, arrays()["test_features"][2])},
            "in val row 1 and in test row 2",
        ),
        (
            {"train_ids": np.arange(15), "val_ids": np.arange(20, 26), "test_ids": np.arange(14, 26)[::-1] - 1},
            "equal ids in train row 13 and in test row 11",
        ),
    ],
)
def test_bad_input_is_one_line_that_names_the_file(file, changes, what):
    path = file(**changes)
    with pytest.raises(CrossModalError, match=what) as error:
        read_features(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(CrossModalError, match="found no such file"):
        read_features(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(CrossModalError, match="found another format"):
        read_features(tmp_path / "text.npz")
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(CrossModalError, match="single array"):
        read_features(tmp_path / "one.npy")


def test_a_damaged_file_is_refused(tmp_path, file):
    whole = file().read_bytes()
    place = whole.index(b"train_features") + 400
    (tmp_path / "torn.npz").write_bytes(whole[:place] + bytes(64) + whole[place + 64 :])
    with pytest.raises(CrossModalError, match=r"torn\.npz: train_features: expected a whole array"):
        read_features(tmp_path / "torn.npz")
