"""WebDataset shards: what is read, and all that is refused."""

import io
import json
import pickle
import tarfile

import pytest
from PIL import Image

from cross_modal.configuration import DataConfig
from cross_modal.data.shards import braces, read_shards
from cross_modal.data.sources import read_items
from cross_modal.errors import CrossModalError


def png(value: int = 0) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (3, 3), value).save(buffer, "PNG")
    return buffer.getvalue()


def shard(file, members: dict[str, bytes], mode: str = "w", **changes: object) -> str:
    with tarfile.open(file, mode) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for field, value in changes.items():
                setattr(info, field, value)
            archive.addfile(info, io.BytesIO(content))
    return str(file)


def test_samples_of_several_shards(tmp_path):
    shard(
        tmp_path / "a-00.tar",
        {"x/1.png": png(1), "x/1.txt": b"one", "x/1.cls": b"7", "x/2.png": png(2), "x/2.cls": b"8"},
    )
    extra = json.dumps({"caption": "three", "label": "nine", "url": "ignored", "genuine": 0, "group": 5}).encode()
    shard(tmp_path / "a-01.tar", {"3.png": png(3), "3.json": extra})
    with pytest.raises(CrossModalError, match=r"a-00\.tar sample 'x/1': group is empty"):
        read_shards(f"{tmp_path}/a-{{00..01}}.tar", DataConfig())
    whole = read_shards(f"{tmp_path}/a-00.tar", DataConfig())
    assert whole.labels.tolist() == ["7", "8"]
    assert whole.texts.tolist() == ["one", None]
    assert whole.images[1].read() == png(2)
    json_only = read_shards(f"{tmp_path}/a-01.tar", DataConfig())
    assert (json_only.texts[0], json_only.labels[0], json_only.groups[0], json_only.genuine[0]) == (
        "three",
        "nine",
        "5",
        False,
    )


def test_through_the_grammar_with_a_glob(tmp_path):
    for number in range(4):
        shard(
            tmp_path / f"s{number}.tar", {f"{number}.jpg": png(number), f"{number}.txt": f"caption {number}".encode()}
        )
    items = read_items(f"webdataset:{tmp_path}/s*.tar")
    assert len(items.classes) == 4
    assert set(items.splits) == {"train", "validation", "test"}
    assert items.labels is None


def test_braces():
    assert list(braces("s{9..11}.tar")) == ["s9.tar", "s10.tar", "s11.tar"]
    assert list(braces("s{000..002}-{a,b}.tar"))[:3] == ["s000-a.tar", "s000-b.tar", "s001-a.tar"]
    with pytest.raises(CrossModalError, match="at most a million"):
        list(braces("{0..99999999999}.tar"))


@pytest.mark.parametrize(
    "pattern",
    ["pipe:cat a.tar", "PIPE:rm -rf x", " pipe:x.tar", "http://h/a.tar", "s3://b/a.tar", "file:///a.tar", "a.tar | sh"],
)
def test_pipes_and_schemes_are_refused(pattern):
    with pytest.raises(CrossModalError, match="found a pipe or a remote address"):
        read_items(f"webdataset:{pattern}")


@pytest.mark.parametrize("extension", ["pyd", "pkl", "pickle", "pth", "pt", "npy", "npz", "PKL", "seg.pyd"])
def test_pickled_members_are_refused_unread(tmp_path, extension):
    class Hostile:
        def __reduce__(self):
            return (open, (str(tmp_path / "owned"), "w"))

    source = shard(tmp_path / "a.tar", {"1.png": png(), f"1.{extension}": pickle.dumps(Hostile())})
    with pytest.raises(
        CrossModalError, match=r"a\.tar: member '1\..*' is a pickled or binary object, which is never read"
    ):
        read_items(f"webdataset:{source}")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("name", ["/etc/1.png", "../1.png", "a/../../1.png", "..\\1.png", "C:\\1.png"])
def test_paths_that_leave_the_shard_are_refused(tmp_path, name):
    with pytest.raises(CrossModalError, match="a path that leaves the shard"):
        read_shards(shard(tmp_path / "a.tar", {name: png()}), DataConfig())


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_refused(tmp_path, kind):
    source = shard(tmp_path / "a.tar", {"1.png": b""}, type=kind, linkname="/etc/passwd")
    with pytest.raises(CrossModalError, match="is a link or device"):
        read_shards(source, DataConfig())


def test_other_faults_are_one_line(tmp_path):
    file = tmp_path / "a.tar"
    for members, message in (
        ({"1.seg.png": png()}, "is unknown, expected jpg, jpeg, png, webp, txt, json, cls"),
        ({"1.png": png(), "./1.png": png()}, "stands twice"),
        ({"1.png": png(), "1.jpg": png()}, "sample '1': expected one picture, found jpg and png"),
        ({"1.json": b"{"}, "sample '1': json is broken"),
        ({"1.json": b"[1]"}, "json holds a list, expected an object"),
        ({"1.txt": b"\xff"}, "txt is not UTF-8"),
        ({"1.txt": b"x", "1.cls": b" "}, "label is empty"),
        ({"1.cls": b"3"}, "expected a picture or a text, found neither"),
        ({"1.txt": b"x", "1.json": b'{"split": "dve"}'}, "split is 'dve'"),
        ({"1.txt": b"x", "1.cls": b"a", "2.txt": b"y"}, "sample '2': label is empty"),
        ({"1.txt": b"x" * ((1 << 20) + 1)}, "1048577 bytes, expected at most 1048576"),
    ):
        with pytest.raises(CrossModalError, match=message) as error:
            read_shards(shard(file, members), DataConfig())
        assert "\n" not in str(error.value)


def test_large_pictures_broken_and_compressed_tars(tmp_path):
    with pytest.raises(CrossModalError, match="expected at most 8"):
        read_shards(shard(tmp_path / "a.tar", {"1.png": png()}), DataConfig(max_pixels=1))
    packed = shard(tmp_path / "b.tar", {"1.png": png()}, "w:gz")
    with pytest.raises(CrossModalError, match=r"expected an uncompressed, whole \.tar file"):
        read_shards(packed, DataConfig())
    cut = tmp_path / "c.tar"
    cut.write_bytes((tmp_path / "a.tar").read_bytes()[:540])
    with pytest.raises(CrossModalError, match=r"expected an uncompressed, whole \.tar file"):
        read_shards(str(cut), DataConfig())
    for pattern in ("gone.tar", "gone*.tar", "a.zip"):
        with pytest.raises(CrossModalError, match=r"expected \.tar files, found"):
            read_shards(f"{tmp_path}/{pattern}", DataConfig())


def test_skip_lists_bad_samples(tmp_path):
    source = shard(tmp_path / "a.tar", {"1.txt": b"x", "1.cls": b"a", "2.txt": b"y", "3.txt": b"\xff", "3.cls": b"b"})
    items = read_shards(source, DataConfig(on_bad_item="skip"))
    assert items.rows.tolist() == [1]
    assert sorted(bad.row for bad in items.skipped) == [2, 3]
