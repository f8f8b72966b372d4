"""Arrays are made once for all processes, mapped read-only, and made anew when the file is not what was written."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import sleep

import numpy as np
import pytest

from cross_modal.encoders.feature_store import FeatureStore
from cross_modal.encoders.stored_array import ARRAY, stored_array
from cross_modal.errors import CrossModalError

ABOUT = {"trunk": "test", "layer": "numbers"}
NUMBERS = np.arange(1000, dtype=np.int64).reshape(100, 10)


class Maker:
    def __init__(self, values: np.ndarray = NUMBERS, seconds: float = 0.0) -> None:
        self.values, self.seconds, self.calls = values, seconds, 0

    def __call__(self) -> np.ndarray:
        self.calls += 1
        sleep(self.seconds)
        return self.values


def test_it_is_made_once_and_mapped_read_only(tmp_path: Path) -> None:
    make = Maker()
    first, second = (stored_array(FeatureStore(tmp_path), ABOUT, make) for _ in range(2))
    assert make.calls == 1
    for found in (first, second):
        assert np.array_equal(found.values, NUMBERS)
        assert isinstance(found.values, np.memmap)
        with pytest.raises(ValueError, match="read-only"):
            found.values[0] = 1


def test_another_description_is_another_array(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    stored_array(store, ABOUT, Maker())
    assert stored_array(store, ABOUT | {"size": 2}, Maker(NUMBERS[:2])).values.shape == (2, 10)


def test_all_who_come_at_once_get_one_array(tmp_path: Path) -> None:
    make = Maker(seconds=0.2)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: stored_array(FeatureStore(tmp_path), ABOUT, make), range(4)))
    assert make.calls == 1
    assert all(np.array_equal(each.values, NUMBERS) for each in found)


@pytest.mark.parametrize("damage", ["cut", "foreign", "text", "gone"])
def test_a_file_that_is_not_what_was_written_is_made_anew(tmp_path: Path, damage: str) -> None:
    store = FeatureStore(tmp_path)
    stored_array(store, ABOUT, Maker())
    (file,) = tmp_path.rglob(ARRAY)
    match damage:
        case "cut":
            os.truncate(file, file.stat().st_size // 2)
        case "foreign":
            np.save(file, NUMBERS + 1)
        case "text":
            file.write_text("no array")
        case "gone":
            file.unlink()
    make = Maker()
    assert np.array_equal(stored_array(store, ABOUT, make).values, NUMBERS)
    assert make.calls == 1
    assert stored_array(store, ABOUT, make).entry is not None
    assert make.calls == 1, "what was made anew is kept"


def test_without_room_or_without_a_store_it_is_in_memory(tmp_path: Path) -> None:
    for store in (None, FeatureStore(tmp_path, limit_gigabytes=1e-6)):
        make = Maker()
        found = stored_array(store, ABOUT, make)
        assert (make.calls, found.entry) == (1, None)
        assert found.values is NUMBERS
    assert not list(tmp_path.rglob(ARRAY))


def test_it_is_listed_and_evicted_with_the_features_but_not_while_it_is_used(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    found = stored_array(store, ABOUT, Maker())
    (facts,) = store.entries()
    assert facts.description == ABOUT
    assert facts.in_use
    assert facts.bytes > NUMBERS.nbytes
    assert not store.prune(0)
    del found
    assert [each.name for each in store.prune(0)] == [facts.name]


def test_an_empty_array_is_an_array(tmp_path: Path) -> None:
    assert stored_array(FeatureStore(tmp_path), ABOUT, Maker(NUMBERS[:0])).values.shape == (0, 10)


def test_what_the_maker_raises_passes_and_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> np.ndarray:
        raise CrossModalError("items.csv row 7: broken")

    with pytest.raises(CrossModalError, match="row 7"):
        stored_array(FeatureStore(tmp_path), ABOUT, fail)
    assert stored_array(FeatureStore(tmp_path), ABOUT, Maker()).values.shape == NUMBERS.shape
