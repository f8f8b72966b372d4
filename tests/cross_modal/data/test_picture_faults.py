"""Pictures are looked at once over all processes that read together, and bad ones follow the policy in each alike."""

import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from toys.companions import Companion, in_company
from toys.shards_on_disk import picture, write_shards

from cross_modal.configuration import DataConfig
from cross_modal.data import decode
from cross_modal.data.pairs import read_pairs, read_triplets
from cross_modal.data.shards import read_shards
from cross_modal.data.sources import read_items

SKIP = DataConfig(on_bad_item="skip")


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> "list[str]":
    """The pictures that were looked at, by any rank."""
    found: list[str] = []
    really = decode.check
    lock = threading.Lock()

    def noted(cell: Any, max_pixels: int, *, whole: bool) -> str | None:
        with lock:
            found.append(str(cell))
        return really(cell, max_pixels, whole=whole)

    monkeypatch.setattr(decode, "check", noted)
    return found


def manifest(folder: Path, bad: tuple[int, ...] = ()) -> str:
    """Ten pictures, each of them in two rows; some are no pictures."""
    for number in range(10):
        (folder / f"{number}.png").write_bytes(b"rubbish" if number in bad else picture(number))
    lines = [f"{number}.png,caption {turn},class {number % 5}" for number in range(10) for turn in range(2)]
    (folder / "items.csv").write_text("\n".join(["image,text,label", *lines]))
    return str(folder / "items.csv")


@pytest.mark.parametrize("size", [1, 2, 3, 11])
@pytest.mark.parametrize("policy", ["error", "skip"])
def test_each_picture_is_looked_at_once_over_all(tmp_path, looked_at, size, policy):
    source = manifest(tmp_path)
    found = in_company(size, lambda together: read_items(source, DataConfig(on_bad_item=policy), together=together))
    assert Counter(looked_at) == Counter(f"{tmp_path}/{number}.png" for number in range(10))
    assert {items.digest for items in found} == {read_items(source).digest}


def test_a_bad_picture_of_another_s_part_is_left_out_by_all(tmp_path):
    source = manifest(tmp_path, bad=(3, 6))
    alone = read_items(source, SKIP)
    assert [bad.row for bad in alone.skipped] == [7, 8, 13, 14]
    for found in in_company(2, lambda together: read_items(source, SKIP, together=together)):
        assert found.skipped == alone.skipped
        assert found.rows.tolist() == alone.rows.tolist()
        assert found.digest == alone.digest


def test_the_first_bad_picture_is_named_by_all_whoever_found_it(tmp_path):
    source = manifest(tmp_path, bad=(3, 6))  # that of rank 1 comes before that of rank 0
    for found in in_company(2, lambda together: read_items(source, together=together)):
        assert str(found).startswith("items.csv row 7: image '3.png' is unreadable")


@pytest.mark.parametrize("place", [0, 1, 4])
def test_a_bad_picture_in_a_shard_follows_the_policy_in_all(tmp_path, place):
    write_shards(tmp_path, [3, 2])
    source = f"webdataset:{tmp_path}/*.tar"
    member = read_shards(f"{tmp_path}/*.tar", DataConfig()).images[place]
    with open(member.archive, "r+b") as file:
        file.seek(member.offset)
        file.write(b"no image")
    for found in in_company(2, lambda together: read_items(source, SKIP, together=together)):
        assert [bad.row for bad in found.skipped] == [place + 1]
    for found in in_company(2, lambda together: read_items(source, together=together)):
        assert f"item {place + 1}: image '{place:05d}.png' is unreadable" in str(found)


def test_pictures_of_pairs_and_triplets_are_looked_at_once(tmp_path, looked_at):
    manifest(tmp_path, bad=(3,))
    lines = [f"{number}.png,{number + 1}.png,{number % 2}" for number in range(9)]
    (tmp_path / "pairs.csv").write_text("\n".join(["image_a,image_b,same", *lines]))
    triplets = [f"{number}.png,{number + 1}.png,{number + 2}.png" for number in range(8)]
    (tmp_path / "triplets.csv").write_text("\n".join(["image_anchor,image_positive,image_negative", *triplets]))
    for read, file in ((read_pairs, "pairs.csv"), (read_triplets, "triplets.csv")):
        looked_at.clear()
        found = in_company(2, lambda together, read=read, file=file: read(f"{tmp_path}/{file}", SKIP, together))
        assert Counter(looked_at) == Counter(f"{tmp_path}/{number}.png" for number in range(10))
        alone = read(f"{tmp_path}/{file}", SKIP)
        assert len(alone.skipped) == (2 if read is read_pairs else 3)
        assert all((pairs.digest, pairs.skipped) == (alone.digest, alone.skipped) for pairs in found)


def test_a_process_that_sees_other_pictures_is_named_by_all(tmp_path):
    for name in ("here", "there"):
        (tmp_path / name / "cats").mkdir(parents=True)
        (tmp_path / name / "dogs").mkdir()
        for number in range(4):
            (tmp_path / name / ("cats" if number % 2 else "dogs") / f"{number}.png").write_bytes(picture(number))

    def read(together: Companion) -> Any:
        return read_items(str(tmp_path / ("there" if together.rank else "here")), together=together)

    assert all(len(found) == 4 for found in in_company(2, read))  # the same data in another place is the same
    (tmp_path / "there" / "cats" / "3.png").unlink()
    for found in in_company(2, read):
        assert str(found) == "process 1 of 2: expected the 4 pictures of process 0, found 3"


def test_texts_alone_need_no_look_and_no_waiting(tmp_path):
    (tmp_path / "items.csv").write_text("\n".join(["text,label", *(f"word {n},class {n % 5}" for n in range(10))]))
    found = in_company(2, lambda together: read_items(str(tmp_path / "items.csv"), together=together))
    assert [len(items) for items in found] == [10, 10]
