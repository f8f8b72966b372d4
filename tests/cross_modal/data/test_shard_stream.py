"""A stream of shards: every sample once over all readers, whatever their number; resumable after any sample."""

import json
import tarfile
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toys.shards_on_disk import picture, write_shards

from cross_modal.configuration import DataConfig
from cross_modal.data.archive_member import ArchiveMember
from cross_modal.data.decode import BadImage, decode
from cross_modal.data.shard_stream import Position, ShardStream
from cross_modal.data.shards import read_shards
from cross_modal.data.sources import read_items
from cross_modal.errors import CrossModalError

LIMIT = 1 << 20
COUNTS = st.lists(st.integers(0, 7), min_size=1, max_size=6)


@given(counts=COUNTS, world_size=st.integers(1, 5), workers=st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_all_readers_together_take_each_sample_once(tmp_path_factory, counts, world_size, workers):
    shards = write_shards(tmp_path_factory.mktemp("shards"), counts)
    taken = Counter(
        placed.name
        for rank in range(world_size)
        for worker in range(workers)
        for placed in ShardStream(shards, LIMIT, rank=rank, world_size=world_size, worker=worker, workers=workers)
    )
    assert taken == Counter(f"{number:05d}" for number in range(sum(counts)))


@given(counts=COUNTS, world_size=st.integers(1, 4), data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_stream_goes_on_after_any_sample(tmp_path_factory, counts, world_size, data):
    shards = write_shards(tmp_path_factory.mktemp("shards"), counts)
    split = {"rank": data.draw(st.integers(0, world_size - 1)), "world_size": world_size}
    whole = list(ShardStream(shards, LIMIT, **split))
    done = data.draw(st.integers(0, len(whole)))
    written = json.loads(json.dumps(whole[done - 1].after if done else Position()))  # as a checkpoint holds it
    rest = list(ShardStream(shards, LIMIT, **split, start=Position(*written)))
    assert [placed.name for placed in whole[:done] + rest] == [placed.name for placed in whole]


def test_a_shard_is_listed_once_and_only_by_who_reads_it(tmp_path, monkeypatch):
    write_shards(tmp_path, [3, 3, 3, 3])
    opened = []
    really = tarfile.open
    monkeypatch.setattr(tarfile, "open", lambda file, mode: opened.append(file.name) or really(file, mode))
    read_shards(f"{tmp_path}/*.tar", DataConfig())
    assert opened == [f"s-{place:03d}.tar" for place in range(4)]
    opened.clear()
    shards = sorted(tmp_path.glob("*.tar"))
    assert len(list(ShardStream(shards, LIMIT, rank=1, world_size=2, start=Position(2, 0)))) == 3
    assert opened == ["s-003.tar"]  # neither the other rank's, nor what is done


def test_pictures_stay_in_their_shard_until_they_are_decoded(tmp_path):
    write_shards(tmp_path, [4, 5])
    items = read_items(f"webdataset:{tmp_path}/*.tar")
    assert all(isinstance(cell, ArchiveMember) for cell in items.images)
    assert [cell.read() for cell in items.images] == [picture(number) for number in range(9)]
    assert decode(items.images[6], size=2)[0, 0].tolist() == [6, 0, 7]
    assert len(set(items.image_ids.tolist())) == 9


def test_a_shard_that_changed_since_it_was_listed_is_named(tmp_path):
    (shard,) = write_shards(tmp_path, [3])
    items = read_shards(str(shard), DataConfig())
    with shard.open("r+b") as file:
        file.truncate(items.images[2].offset + 5)
    assert decode(items.images[0]).shape == (4, 4, 3)
    with pytest.raises(BadImage, match=r"member '00002\.png': expected \d+ bytes as when it was listed, found 5"):
        decode(items.images[2])
    shard.unlink()
    with pytest.raises(CrossModalError, match="expected a readable archive, found: No such file"):
        items.images[0].read()


def test_corrupt_pictures_follow_the_policy_as_in_every_source(tmp_path):
    write_shards(tmp_path, [5])
    shard = tmp_path / "s-000.tar"
    content = bytearray(shard.read_bytes())
    member = read_shards(str(shard), DataConfig()).images[1]
    content[member.offset : member.offset + 8] = b"no image"
    shard.write_bytes(content)
    with pytest.raises(CrossModalError, match=r"s-000\.tar item 2: image '00001\.png' is unreadable"):
        read_items(f"webdataset:{shard}")
    items = read_items(f"webdataset:{shard}", DataConfig(on_bad_item="skip"))
    assert [bad.row for bad in items.skipped] == [2]
    assert items.rows.tolist() == [1, 3, 4, 5]


@pytest.mark.parametrize("split", [{"rank": 2, "world_size": 2}, {"worker": 1}, {"rank": -1}])
def test_a_reader_that_is_not_there_is_refused(split):
    with pytest.raises(CrossModalError, match="expected a rank below"):
        ShardStream([], LIMIT, **split)
