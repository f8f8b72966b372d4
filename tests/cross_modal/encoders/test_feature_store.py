import os
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from cross_modal.encoders.feature_store import FeatureEntry, FeatureStore, StoreFull, default_root
from cross_modal.errors import CrossModalError

KB = 1e-6  # in gigabytes


def fill(entry: FeatureEntry, rows: int = 10, seed: int = 0) -> FeatureEntry:
    """Each row takes 100 × 2 bytes of values and 32 of index."""
    keys = np.random.default_rng(seed).integers(0, 256, (rows, 16), dtype=np.uint8)
    entry.append(keys, np.ones((rows, 100)), np.ones(rows, int))
    return entry


def filled(store: FeatureStore, *names: str, rows: int = 10) -> None:
    """Entries that nobody uses, each last used a day after the one before, the last one today."""
    for place, name in enumerate(names):
        entry = store.entry({"trunk": name})
        fill(entry, rows).close()
        day = time.time() - 86_400 * (len(names) - 1 - place)
        os.utime(entry.folder / "entry.json", (day, day))


def trunks(store: FeatureStore) -> list[str]:
    return [facts.description["trunk"] for facts in store.entries()]


def test_the_same_description_is_the_same_entry(tmp_path: Path) -> None:
    with FeatureStore(tmp_path).entry({"trunk": "a", "size": [2, 3]}) as one:
        fill(one)
        with FeatureStore(tmp_path).entry({"size": (2, 3), "trunk": "a"}) as other:
            assert other.folder == one.folder
            assert len(other) == 10


@pytest.mark.parametrize("other", [{"trunk": "b"}, {"trunk": "a", "size": 1}, {"Trunk": "a"}, {"trunk": ["a"]}, {}])
def test_another_description_is_another_entry(tmp_path: Path, other: dict) -> None:
    store = FeatureStore(tmp_path)
    with store.entry({"trunk": "a"}) as entry, store.entry(other) as second:
        fill(entry)
        assert entry.folder != second.folder
        assert len(second) == 0


@pytest.mark.parametrize("part", [np.float32(1), float("nan"), {1, 2}, b"x"])
def test_a_description_is_json(tmp_path: Path, part: object) -> None:
    with pytest.raises(CrossModalError, match="expected what JSON can say"):
        FeatureStore(tmp_path).entry({"trunk": part})


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"layer": 11, "trunk": "b"}', "expected trunk 'a', found trunk 'b'"),
        ('{"layer": 11}', "expected trunk 'a', found trunk None"),
        ('{"layer": 12, "trunk": "a"}', "expected layer 11, found layer 12"),
        ('{"layer": 1', "found none that can be read"),
    ],
)
def test_an_entry_that_says_it_is_something_else_is_refused(tmp_path: Path, content: str, says: str) -> None:
    store = FeatureStore(tmp_path)
    description = {"trunk": "a", "layer": 11}
    with store.entry(description) as entry:
        fill(entry)
    (entry.folder / "entry.json").write_text(content)
    with pytest.raises(CrossModalError, match=says) as caught:
        store.entry(description)
    assert "\n" not in str(caught.value)
    (facts,) = store.entries()
    assert facts.rows == 10
    assert store.prune(0), "what is refused can be removed"
    with store.entry(description) as entry:
        assert len(entry) == 0


def test_a_listing_says_what_is_there(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    filled(store, "old", "new")
    with store.entry({"trunk": "used", "layer": 3}) as entry:
        first, second, third = store.entries()
        assert (first.description, first.rows, first.in_use) == ({"trunk": "used", "layer": 3}, 0, True)
        assert (second.description, second.rows, second.in_use) == ({"trunk": "new"}, 10, False)
        assert third.description == {"trunk": "old"}
        assert first.name == entry.folder.name
        assert abs((datetime.now(UTC) - third.used).total_seconds() - 86_400) < 60
        assert second.bytes == 10 * 232 + 32 + len('{"trunk":"new"}\n')
        assert store.size_bytes == first.bytes + second.bytes + third.bytes


def test_pruning_removes_the_least_recently_used_first(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    filled(store, "a", "b", "c", "d")
    assert store.prune() == []
    removed = store.prune(limit_gigabytes=5 * KB)
    assert [facts.description["trunk"] for facts in removed] == ["a", "b"]
    assert trunks(store) == ["d", "c"]
    store.entry({"trunk": "c"}).close()
    assert [facts.description["trunk"] for facts in store.prune(3 * KB)] == ["d"]
    assert [facts.description["trunk"] for facts in store.prune(0)] == ["c"]
    assert store.size_bytes == 0


def test_pruning_by_age(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, limit_gigabytes=20)
    filled(store, "a", "b", "c", "d")
    assert [facts.description["trunk"] for facts in store.prune(older_than_days=1.5)] == ["a", "b"]
    assert [facts.description["trunk"] for facts in store.prune(3 * KB, older_than_days=1.5)] == ["c"]
    assert trunks(store) == ["d"]


def test_what_is_in_use_stays_unless_forced(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    filled(store, "a", "b")
    with store.entry({"trunk": "a"}) as entry:
        assert [facts.description["trunk"] for facts in store.prune(0)] == ["b"]
        rows = np.arange(10)
        assert entry.read(rows).values.shape == (10, 1, 100)
        assert store.prune(0, keep_in_use=False)
        assert entry.read(rows).values.shape == (10, 1, 100), "what is mapped stays readable"
        with pytest.raises(CrossModalError, match="found it pruned"):
            fill(entry, seed=1)


def test_an_entry_that_is_forgotten_is_not_in_use(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    fill(store.entry({"trunk": "a"}))
    assert len(store.prune(0)) == 1


def test_opening_an_entry_evicts_what_is_over_the_limit(tmp_path: Path) -> None:
    filled(FeatureStore(tmp_path), "a", "b", "c")
    small = FeatureStore(tmp_path, limit_gigabytes=5 * KB)
    with small.entry({"trunk": "d"}):
        assert trunks(small) == ["d", "c", "b"]


def test_appending_evicts_others_and_never_what_is_in_use(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, limit_gigabytes=8 * KB)
    filled(store, "a", "b")
    with store.entry({"trunk": "a"}), store.entry({"trunk": "c"}) as entry:
        fill(entry)
        assert sorted(trunks(store)) == ["a", "b", "c"]
        fill(entry, seed=1)
        assert sorted(trunks(store)) == ["a", "c"]
        with pytest.raises(StoreFull, match=r"expected room for 2.32e-06 GB under the limit of 8e-06 GB, found 7"):
            fill(entry, seed=2)
        assert len(entry) == 20


def test_what_cannot_fit_evicts_nothing(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, limit_gigabytes=8 * KB)
    filled(store, "a", "b")
    with store.entry({"trunk": "c"}) as entry, pytest.raises(StoreFull):
        fill(entry, rows=40)
    assert sorted(trunks(store)) == ["a", "b", "c"]


def test_what_a_killed_process_left_aside_is_swept(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    (tmp_path / ".aside-x").mkdir()
    (tmp_path / ".aside-x" / "values.f16").write_bytes(bytes(100))
    assert store.entries() == []
    store.prune()
    assert not (tmp_path / ".aside-x").exists()


def test_where_the_store_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSS_MODAL_CACHE", str(tmp_path / "deep" / "er"))
    found = FeatureStore.open(3)
    assert found is not None
    assert found.root == tmp_path / "deep" / "er"
    assert found.root.is_dir()
    assert found.limit_bytes == 3e9
    monkeypatch.setenv("CROSS_MODAL_CACHE", "off")
    assert FeatureStore.open() is None
    with pytest.raises(CrossModalError, match="switched off"):
        FeatureStore()
    monkeypatch.delenv("CROSS_MODAL_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_root() == tmp_path / ".cache" / "cross-modal" / "features"


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CrossModalError, match="expected a folder to write to, found"):
        FeatureStore(tmp_path / "file" / "store")


def test_numbers_below_zero_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CrossModalError, match="expected a limit of at least 0 GB, found -1"):
        FeatureStore(tmp_path, limit_gigabytes=-1)
    with pytest.raises(CrossModalError, match="expected limit of at least 0, found -1"):
        FeatureStore(tmp_path).prune(-1)
    with pytest.raises(CrossModalError, match="expected days of at least 0, found nan"):
        FeatureStore(tmp_path).prune(older_than_days=float("nan"))


def test_a_read_only_home_switches_the_store_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.delenv("CROSS_MODAL_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    monkeypatch.setenv("HOME", str(blocked))
    assert FeatureStore.open() is None


def test_a_folder_that_the_user_named_must_be_writable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("CROSS_MODAL_CACHE", str(tmp_path / "file"))
    with pytest.raises(CrossModalError, match="expected a folder to write to"):
        FeatureStore.open()
