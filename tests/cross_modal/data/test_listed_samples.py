"""Several processes read one source: every shard and picture is looked at once, and all hold what one would hold."""

import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toys.ranks import together
from toys.shards_on_disk import picture, write_shard, write_shards

from cross_modal.configuration import DataConfig
from cross_modal.data import decode
from cross_modal.data.items import Items
from cross_modal.data.sources import read_items
from cross_modal.errors import CrossModalError

SKIP = DataConfig(on_bad_item="skip")


def same(one: Items, other: Items) -> bool:
    columns = ("images", "texts", "labels", "splits", "groups", "genuine", "rows")
    for name in columns:
        mine, its = (getattr(each, name) for each in (one, other))
        if (mine is None) != (its is None) or (mine is not None and list(mine) != list(its)):
            return False
    return one.digest == other.digest and one.skipped == other.skipped


@given(counts=st.lists(st.integers(0, 5), min_size=1, max_size=6).filter(any), size=st.integers(2, 5))
@settings(max_examples=25, deadline=None)
def test_all_hold_the_table_that_one_reads(tmp_path_factory: Any, counts: list[int], size: int) -> None:
    folder = tmp_path_factory.mktemp("shards")
    write_shards(folder, counts)
    source = f"webdataset:{folder}/*.tar"
    alone = read_items(source)
    for found in together(size, lambda rank: read_items(source, together=rank)):
        assert isinstance(found, Items), found
        assert same(found, alone)


@pytest.mark.parametrize(("shards", "size"), [(5, 2), (4, 4), (2, 3)])
def test_each_shard_is_listed_and_each_picture_checked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shards: int, size: int
) -> None:
    write_shards(tmp_path, [3] * shards)
    opened, checked, really, check = Counter[str](), Counter[str](), tarfile.open, decode.check
    monkeypatch.setattr(tarfile, "open", lambda file, mode: opened.update([file.name]) or really(file, mode))
    monkeypatch.setattr(
        decode, "check", lambda cell, *given, **named: checked.update([cell.name]) or check(cell, *given, **named)
    )
    together(size, lambda rank: read_items(f"webdataset:{tmp_path}/*.tar", together=rank))
    assert opened == Counter(f"s-{place:03d}.tar" for place in range(shards))
    assert checked == Counter(f"{number:05d}.png" for number in range(3 * shards))


def broken(folder: Path) -> str:
    """Four shards: a sample of the third has a bad json, and the picture of another in the second is none."""
    for place in range(4):
        members = {}
        for number in range(3):
            name = f"{place}{number}"
            members[f"{name}.png"] = b"no picture" if (place, number) == (1, 2) else picture(10 * place + number)
            members[f"{name}.json"] = b"{" if (place, number) == (2, 1) else b'{"caption": "a word"}'
        write_shard(folder / f"{place}.tar", members)
    return f"webdataset:{folder}/*.tar"


@pytest.mark.parametrize("size", [2, 3, 4])
def test_what_is_bad_is_left_out_by_all_or_named_alike_by_all(tmp_path: Path, size: int) -> None:
    source = broken(tmp_path)
    alone = read_items(source, SKIP)
    assert sorted(bad.row for bad in alone.skipped) == [6, 8]
    assert all(same(found, alone) for found in together(size, lambda rank: read_items(source, SKIP, together=rank)))
    with pytest.raises(CrossModalError) as one:
        read_items(source)
    said = {str(error) for error in together(size, lambda rank: read_items(source, together=rank))}
    assert said == {str(one.value)}
    assert "2.tar sample '21': json is broken" in str(one.value)


def test_a_shard_that_is_cut_ends_all(tmp_path: Path) -> None:
    last = write_shards(tmp_path, [3, 3, 3])[2]
    last.write_bytes(last.read_bytes()[:700])
    source = f"webdataset:{tmp_path}/*.tar"
    said = {str(error) for error in together(2, lambda rank: read_items(source, together=rank))}
    (line,) = said
    assert "s-002.tar: expected an uncompressed, whole .tar file" in line


def test_other_pictures_on_another_machine_are_told_of(tmp_path: Path) -> None:
    (tmp_path / "0").mkdir()
    (tmp_path / "1").mkdir()

    def read(rank: Any) -> Items:
        folder = tmp_path / str(rank.rank)
        for number in range(3):
            (folder / f"{number}.png").write_bytes(picture(number))
        rows = [f"{number}.png,a" for number in range(2 + rank.rank)]
        (folder / "items.csv").write_text("\n".join(["image,text", *rows]), encoding="utf-8")
        return read_items(str(folder / "items.csv"), together=rank)

    for error in together(2, read):
        assert "expected the same pictures in every process, found 2, 3 of them" in str(error)
