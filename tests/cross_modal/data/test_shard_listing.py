"""Several processes list shards together: each shard by one of them, and all have what one process would read."""

import json
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toys.companions import Companion, in_company
from toys.shards_on_disk import picture, write_shard, write_shards

from cross_modal.configuration import DataConfig
from cross_modal.data import shard_listing
from cross_modal.data.items import Items
from cross_modal.data.shards import read_shards
from cross_modal.data.sources import read_items
from cross_modal.errors import CrossModalError

COLUMNS = ("images", "texts", "labels", "splits", "groups", "genuine", "rows")
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=6).filter(str.strip)
SKIP = DataConfig(on_bad_item="skip")


def same(one: Items, other: Any) -> bool:
    """Whether two tables are equal in all that they hold; types of cells, too."""
    assert isinstance(other, Items), other
    for name in COLUMNS:
        cells, others = getattr(one, name), getattr(other, name)
        if (cells is None) != (others is None):
            return False
        if cells is not None and (cells.dtype != others.dtype or cells.tolist() != others.tolist()):
            return False
    return (one.source, one.skipped) == (other.source, other.skipped)


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> "list[tuple[str, str]]":
    """Who listed which shard."""
    found: list[tuple[str, str]] = []
    really = shard_listing.list_shard

    def noted(shard: Path, limit: int) -> Any:
        found.append((threading.current_thread().name, shard.name))
        return really(shard, limit)

    monkeypatch.setattr(shard_listing, "list_shard", noted)
    return found


@st.composite
def samples(draw: st.DrawFn) -> dict[str, bytes]:
    """Members of one sample by extension: good ones, bad ones, with and without a picture."""
    members: dict[str, bytes] = {}
    if draw(st.booleans()):
        members["png"] = picture(draw(st.integers(0, 999)))
    if draw(st.booleans()):
        members["txt"] = draw(st.one_of(WORDS.map(str.encode), st.just(b"\xff"), st.just(b" ")))
    if draw(st.integers(0, 3)):
        members["cls"] = draw(st.sampled_from([b"a", b"b", b"\xc3\xa9"]))
    if draw(st.booleans()):
        content = {"genuine": draw(st.sampled_from([0, 1, "?"])), "group": draw(WORDS), "caption": draw(WORDS)}
        chosen = draw(st.sets(st.sampled_from(sorted(content))))
        members["json"] = json.dumps({name: content[name] for name in sorted(chosen)}).encode()
    return members or {"txt": b"x"}


@given(shards=st.lists(st.lists(samples(), max_size=4), min_size=1, max_size=6), size=st.integers(2, 5))
@settings(max_examples=30, deadline=None)
def test_all_have_what_one_process_reads(tmp_path_factory, shards, size):
    folder = tmp_path_factory.mktemp("shards")
    for place, content in enumerate(shards):
        members = {f"{number}.{end}": cell for number, one in enumerate(content) for end, cell in one.items()}
        write_shard(folder / f"s-{place}.tar", members)
    alone = read_shards(f"{folder}/*.tar", SKIP)
    for found in in_company(size, lambda together: read_shards(f"{folder}/*.tar", SKIP, together)):
        assert same(alone, found)


@pytest.mark.parametrize(("shards", "size"), [(1, 1), (5, 2), (4, 4), (2, 5), (7, 3)])
def test_each_shard_is_listed_once_over_all(tmp_path, listed, shards, size):
    write_shards(tmp_path, [2] * shards)
    source = f"webdataset:{tmp_path}/*.tar"
    found = in_company(size, lambda together: read_items(source, together=together))
    assert Counter(shard for _, shard in listed) == Counter(f"s-{place:03d}.tar" for place in range(shards))
    of_rank = Counter(rank for rank, _ in listed)
    assert max(of_rank.values()) - min(of_rank.values()) <= 1
    assert len(of_rank) == min(shards, size)
    alone = read_items(source)
    assert all(same(alone, items) and items.digest == alone.digest for items in found)


def test_samples_that_lack_a_cell_are_named_without_another_look(tmp_path, listed):
    members = {"1.txt": b"x", "1.cls": b"a", "2.txt": b"y", "b/3.png": picture(3)}
    write_shard(tmp_path / "s-0.tar", members)
    write_shard(tmp_path / "s-1.tar", {"4.txt": b"z", "4.cls": b"c", "5.png": picture(5)})
    for found in in_company(2, lambda together: read_shards(f"{tmp_path}/*.tar", SKIP, together)):
        assert found.rows.tolist() == [1, 4]
        assert [(bad.row, bad.where) for bad in found.skipped] == [
            (2, "s-0.tar sample '2'"),
            (3, "s-0.tar sample 'b/3'"),
            (5, "s-1.tar sample '5'"),
        ]
    assert len(listed) == 2


def test_whoever_finds_them_the_first_fault_in_the_order_of_the_shards_is_everybody_s(tmp_path):
    write_shards(tmp_path, [2, 2, 2, 2, 2])
    write_shard(tmp_path / "s-003.tar", {"7.txt": b"\xff", "7.png": picture(7)})  # of rank 1, before that of rank 0
    (tmp_path / "s-004.tar").write_bytes(b"no tar" * 200)
    alone = _fault(lambda: read_shards(f"{tmp_path}/*.tar", DataConfig()))
    assert alone == "s-003.tar sample '7': txt is not UTF-8"
    for found in in_company(2, lambda together: read_shards(f"{tmp_path}/*.tar", DataConfig(), together)):
        assert isinstance(found, CrossModalError)
        assert str(found) == alone
    alone = _fault(lambda: read_shards(f"{tmp_path}/*.tar", SKIP))
    assert "s-004.tar: expected an uncompressed, whole .tar file" in alone
    for found in in_company(3, lambda together: read_shards(f"{tmp_path}/*.tar", SKIP, together)):
        assert str(found) == alone


def test_names_that_are_no_text_travel_as_they_are(tmp_path):
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    write_shard(tmp_path / "s-0.tar", {"1.txt": b"x"})
    write_shard(
        tmp_path / "s-1.tar", {f"{name}.png": picture(1), f"{name}2.txt": b"\xff", "3.json": b'{"text": "\\ud800"}'}
    )
    alone = read_shards(f"{tmp_path}/*.tar", SKIP)
    assert alone.skipped[0].where == f"s-1.tar sample '{name}2'"
    assert alone.texts[-1] == "\ud800"
    assert all(same(alone, found) for found in in_company(2, lambda each: read_shards(f"{tmp_path}/*.tar", SKIP, each)))


def test_a_process_that_sees_other_shards_is_named_by_all(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    for folder, counts in ((here, [2, 2, 2]), (there, [2, 2])):
        folder.mkdir()
        write_shards(folder, counts)

    def read(together: Companion) -> Items:
        return read_shards(f"{there if together.rank == 2 else here}/*.tar", DataConfig(), together)

    for found in in_company(3, read):
        assert str(found) == "process 2 of 3: expected the 3 shards of process 0, found 2"
    (there / "s-001.tar").rename(there / "s-009.tar")
    (here / "s-002.tar").unlink()
    for found in in_company(3, read):
        assert str(found) == "process 2 of 3: expected the 2 shards of process 0, found as many, of other names"


def _fault(work: Any) -> str:
    with pytest.raises(CrossModalError) as error:
        work()
    return str(error.value)


def test_members_of_one_shard_share_its_path_whoever_listed_it(tmp_path):
    write_shards(tmp_path, [3, 3])
    (first, _) = in_company(2, lambda together: read_shards(f"{tmp_path}/*.tar", DataConfig(), together))
    assert len({id(cell.archive) for cell in first.images}) == 2
    assert first.rows.dtype == np.int64
