"""A published split file is a source: its pictures are found, its splits are kept."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cross_modal.configuration import DataConfig
from cross_modal.data.sources import read_unsplit
from cross_modal.errors import CrossModalError
from cross_modal.fewshot.kshot_items import kshot_items, read_kshot_items

ROWS = {
    "train": [["cat/1.png", 0, "house_cat"], ["cat/2.png", 0, "house_cat"], ["dog/1.png", 1, "dog"]],
    "val": [["cat/3.png", 0, "house_cat"], ["dog/2.png", 1, "dog"]],
    "test": [["cat/4.png", 0, "house_cat"], ["dog/3.png", 1, "dog"]],
}


def write(folder: Path, pictures: Path, rows: object = ROWS) -> str:
    for number, (path, _, _) in enumerate(row for part in ROWS.values() for row in part):
        (pictures / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 4, 3), 20 * number, np.uint8)).save(pictures / path)
    (folder / "split_zhou_Pets.json").write_text(json.dumps(rows))
    return str(folder / "split_zhou_Pets.json")


@pytest.mark.parametrize("below", ["", "images", "pets/jpg"])
def test_pictures_are_found_beside_the_file_or_below(tmp_path: Path, below: str) -> None:
    items = read_unsplit(write(tmp_path, tmp_path / below), DataConfig())
    assert [Path(cell).is_file() for cell in items.images] == [True] * 7
    assert items.splits.tolist() == ["train"] * 3 + ["validation"] * 2 + ["test"] * 2
    assert items.classes == ["dog", "house_cat"]
    assert items.texts.tolist() == ["dog", "house cat", "house cat", "dog", "house cat", "dog", "house cat"]


def test_its_own_splits_are_the_pools(tmp_path: Path) -> None:
    pools = kshot_items(read_kshot_items(write(tmp_path, tmp_path), DataConfig()), "test")
    assert pools.manner == "own splits"
    assert (len(pools.support), len(pools.validation), len(pools.test)) == (3, 2, 2)


def test_missing_pictures_are_named(tmp_path: Path) -> None:
    source = write(tmp_path, tmp_path)
    (tmp_path / "dog" / "1.png").unlink()
    with pytest.raises(CrossModalError, match=r"expected the picture dog/1\.png beside it or in a folder below"):
        read_unsplit(source, DataConfig())


def test_a_file_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CrossModalError, match="expected pictures, found none"):
        read_unsplit(write(tmp_path, tmp_path, {"train": [], "val": [], "test": []}), DataConfig())


def test_another_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CrossModalError, match="expected"):
        read_unsplit(write(tmp_path, tmp_path, {"rows": 3}), DataConfig())
