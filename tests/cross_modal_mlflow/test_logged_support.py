"""A support set comes back as it was, holds no pickle, and only serves the twin that made it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toys.requests import picture
from toys.tiny_twin import tiny_twin

from cross_modal.data.items import Items
from cross_modal.errors import CrossModalError
from cross_modal_mlflow.logged_support import LoggedSupport, encode_support

ITEMS = Items.of(
    images=[picture(1), picture(2), picture(2), None],
    texts=["alpha", None, None, "beta"],
    labels=["a", "b", "b", "b"],
)


@pytest.fixture(scope="module")
def support() -> LoggedSupport:
    return encode_support(tiny_twin(), ITEMS, method="tip_adapter", parameters={"beta": 2.0}, threshold=0.25)


def test_each_picture_and_text_stands_once_with_its_label(support: LoggedSupport) -> None:
    assert (list(support.image_labels), list(support.image_rows)) == (["a", "b"], [0, 1])
    assert (list(support.text_labels), list(support.text_rows)) == (["a", "b"], [0, 3])
    assert len(support) == 4


def test_it_comes_back_bit_for_bit(support: LoggedSupport, tmp_path: Path) -> None:
    after = LoggedSupport.load(support.save(tmp_path / "support"))
    assert np.array_equal(after.images, support.images)
    assert np.array_equal(after.texts, support.texts)
    for name in ("image_labels", "text_labels", "image_rows", "text_rows", "method", "threshold", "temperature"):
        assert getattr(after, name) == getattr(support, name)
    assert after.parameters == {"beta": 2.0}
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == ["support.json", "support.safetensors"]


def test_one_modality_is_enough(tmp_path: Path) -> None:
    words = encode_support(tiny_twin("none", "transformer"), Items.of(texts=["a cat"], labels=["cat"]))
    assert LoggedSupport.load(words.save(tmp_path)).images.shape == (0, 16)


def test_without_labels_texts_are_the_classes_and_forgeries_are_left_out() -> None:
    plain = Items.of(texts=["a cat", "a dog"], genuine=[True, False])
    assert list(encode_support(tiny_twin("none"), plain).text_labels) == ["text:a cat"]


def test_another_twin_is_refused(support: LoggedSupport) -> None:
    support.check_twin(tiny_twin())
    with pytest.raises(CrossModalError, match=r"found those of another \(weights [0-9a-f]{12}…\)"):
        support.check_twin(tiny_twin(seed=1))
    wide = replace(support, images=np.ones((2, 8), np.float32), texts=np.ones((2, 8), np.float32))
    with pytest.raises(CrossModalError, match="expected embeddings of width 16, found 8"):
        wide.check_twin(tiny_twin())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"image_labels": ["a"]}, "expected 2 image_labels, found 1"),
        ({"image_labels": ["a", 3]}, "expected labels that are text"),
        ({"text_rows": []}, "expected 2 text_rows, found 0"),
        ({"images": np.full((2, 16), np.nan, np.float32)}, "expected finite float32 images"),
        ({"images": np.zeros((2, 8), np.float32)}, "of one width, found 8 and 16"),
        ({"texts": np.zeros((2, 16))}, "expected finite float32 texts"),
        ({"method": "guess"}, r"support\.method: expected one of zero_shot, prototypes, .*, found 'guess'"),
    ],
)
def test_what_does_not_fit_together_is_refused(support: LoggedSupport, change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CrossModalError, match=sentence):
        replace(support, **change)


def test_an_empty_support_is_refused() -> None:
    nothing = np.zeros((0, 4), np.float32)
    with pytest.raises(CrossModalError, match="expected at least one picture or text"):
        LoggedSupport(nothing, [], nothing, [], [], [])


def test_missing_and_damaged_folders_are_named(support: LoggedSupport, tmp_path: Path) -> None:
    with pytest.raises(CrossModalError, match=r"expected support\.json and support\.safetensors, found no"):
        LoggedSupport.load(tmp_path)
    folder = support.save(tmp_path / "support")
    embeddings, description = folder / "support.safetensors", folder / "support.json"
    content = json.loads(description.read_text())
    description.write_text(json.dumps(content | {"format": 2}))
    with pytest.raises(CrossModalError, match="expected a support of format 1, found 2"):
        LoggedSupport.load(folder)
    description.write_text(json.dumps({"format": 1}))
    with pytest.raises(CrossModalError, match="found no 'image_labels'"):
        LoggedSupport.load(folder)
    description.write_text("{")
    with pytest.raises(CrossModalError, match="expected a support set that can be read"):
        LoggedSupport.load(folder)
    description.write_text(json.dumps(content))
    embeddings.write_bytes(embeddings.read_bytes()[:50])
    with pytest.raises(CrossModalError, match="expected a support set that can be read"):
        LoggedSupport.load(folder)
