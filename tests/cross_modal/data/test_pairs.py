"""Pairs and triplets: distinct items once, splits by connected components, faults with file and row."""

import numpy as np
import pytest
from PIL import Image

from cross_modal.configuration import DataConfig
from cross_modal.data.pairs import kind_of, read_pairs, read_triplets
from cross_modal.errors import CrossModalError


def write(folder, text: str, name: str = "pairs.csv") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def questions(count: int) -> str:
    """Pairs of texts in chains of three: (0a, 0b), (0b, 0c), (1a, 1b), …"""
    lines = ["text_a,text_b,same"]
    for number in range(count):
        lines += [f"{number}a,{number}b,1", f"{number}b,{number}c,0"]
    return "\n".join(lines)


def test_text_pairs(tmp_path):
    pairs = read_pairs(write(tmp_path, questions(40)))
    assert len(pairs) == 80
    assert len(pairs.items) == 120
    assert pairs.same.tolist() == [True, False] * 40
    assert pairs.score is None
    assert pairs.items.texts[pairs.a[1]] == "0b" == pairs.items.texts[pairs.b[0]]
    assert set(pairs.splits) == {"train", "validation", "test"}
    ends = {name: {*pairs.split(name).a.tolist(), *pairs.split(name).b.tolist()} for name in set(pairs.splits)}
    assert not ends["train"] & ends["test"]
    assert not ends["train"] & ends["validation"]
    for name, members in ends.items():
        assert set(pairs.items.splits[sorted(members)]) == {name}
    assert abs(len(pairs.split("test")) - 20) <= 2


@pytest.mark.parametrize(
    ("written", "same"), [("TRUE", True), (" yes ", True), ("1.0", True), ("0.0", False), ("No", False)]
)
def test_verdicts_as_tables_write_them(tmp_path, written, same):
    """A table that held an empty cell once writes its verdicts as 1.0 and 0.0."""
    pairs = read_pairs(write(tmp_path, f"text_a,text_b,same\na,b,{written}\nc,d,1\n"))
    assert pairs.same.tolist() == [same, True]


def test_the_seed_decides(tmp_path):
    source = write(tmp_path, questions(40))
    by_seed = [read_pairs(source, DataConfig(seed=seed)).splits.tolist() for seed in (0, 0, 1)]
    assert by_seed[0] == by_seed[1] != by_seed[2]


def test_splits_do_not_depend_on_where_the_data_lies_or_the_reader_stands(tmp_path, monkeypatch):
    lines = "\n".join(f"{n}.png,{n + 1}.png,{n % 4 // 2}" for n in range(0, 80, 2))
    for folder in (tmp_path / "here", tmp_path / "there"):
        folder.mkdir()
        for number in range(80):
            Image.new("L", (3, 3), number).save(folder / f"{number}.png")
        write(folder, f"image_a,image_b,same\n{lines}\n")
    found = [
        read_pairs(str(folder / "pairs.csv")).splits.tolist() for folder in (tmp_path / "here", tmp_path / "there")
    ]
    for folder, source in ((tmp_path / "here", "pairs.csv"), (tmp_path, "there/pairs.csv")):
        monkeypatch.chdir(folder)
        found.append(read_pairs(source).splits.tolist())
    assert all(splits == found[0] for splits in found)
    assert set(found[0]) == {"train", "validation", "test"}


def test_equal_pictures_are_one_item_wherever_they_lie(tmp_path):
    for name in "abcd":
        Image.new("L", (3, 3), 0 if name in "ab" else ord(name)).save(tmp_path / f"{name}.png")
    pairs = read_pairs(
        write(tmp_path, "image_a,image_b,score\na.png,c.png,0.25\nb.png,d.png,1\n"), DataConfig(test_share=0)
    )
    assert pairs.a.tolist() == [0, 0]
    assert len(pairs.items) == 3
    assert pairs.score.tolist() == [0.25, 1.0]
    assert len(set(pairs.splits)) == 1


def test_mixed_modalities_and_brought_splits(tmp_path):
    Image.new("L", (3, 3)).save(tmp_path / "a.png")
    source = write(tmp_path, "image_a,text_b,same,split\na.png,x,yes,train\na.png,y,no,train\n,z,1,test\n")
    with pytest.raises(CrossModalError, match=r"pairs\.csv row 3: expected image_a or text_a, found neither"):
        read_pairs(source)
    pairs = read_pairs(source, DataConfig(on_bad_item="skip"))
    assert pairs.items.has_image.tolist() == [True, False, False]
    assert pairs.rows.tolist() == [1, 2]
    assert [bad.row for bad in pairs.skipped] == [3]


def test_a_bad_picture_takes_its_pair_along(tmp_path):
    Image.new("L", (3, 3)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("rubbish")
    source = write(tmp_path, "image_a,text_b,same\na.png,x,1\nb.png,y,1\n")
    with pytest.raises(CrossModalError, match=r"^pairs\.csv row 2: image 'b\.png' is unreadable"):
        read_pairs(source)
    pairs = read_pairs(source, DataConfig(on_bad_item="skip", test_share=0))
    assert pairs.rows.tolist() == [1]
    assert pairs.items.texts.tolist() == [None, "x"]


def test_splits_that_share_an_item_are_refused(tmp_path):
    message = r"^pairs\.csv row 2: is in test, but row 1 is in train and connected with it by shared items"
    with pytest.raises(CrossModalError, match=message) as error:
        read_pairs(write(tmp_path, "text_a,text_b,same,split\na,b,1,train\nb,c,0,test\n"))
    assert "\n" not in str(error.value)
    with pytest.raises(CrossModalError, match=r"row 3: is in validation, but row 1 is in train"):
        read_pairs(write(tmp_path, "text_a,text_b,same,split\na,b,1,train\nc,d,0,train\nb,a,1,val\n"))


def test_one_item_on_both_sides_is_a_bad_row(tmp_path):
    source = write(tmp_path, "text_a,text_b,same\nx,y,1\nz,z,1\nu,v,0\n")
    with pytest.raises(
        CrossModalError,
        match=r"^pairs\.csv row 2: expected different items on the sides a and b, found the text 'z' on both$",
    ):
        read_pairs(source)
    pairs = read_pairs(source, DataConfig(on_bad_item="skip", test_share=0))
    assert pairs.rows.tolist() == [1, 3]
    assert pairs.items.texts.tolist() == ["x", "y", "u", "v"]
    assert [str(bad).split(":")[0] for bad in pairs.skipped] == ["pairs.csv row 2"]


def test_spaces_at_the_end_make_no_other_text(tmp_path):
    with pytest.raises(CrossModalError, match=r"row 2: expected different items .* found the text 'z' on both"):
        read_pairs(write(tmp_path, "text_a,text_b,same\nx,y,1\nz, z,0\n"))
    with pytest.raises(CrossModalError, match=r"row 2: is in test, but row 1 is in train and connected with it"):
        read_pairs(write(tmp_path, "text_a,text_b,same,split\na,b ,1,train\nb,c,0,test\n"))


def test_two_files_of_one_picture_are_one_item_on_both_sides(tmp_path):
    for name in "ab":
        Image.new("L", (3, 3)).save(tmp_path / f"{name}.png")
    with pytest.raises(CrossModalError, match=r"row 1: expected different items .* found the picture 'a\.png' on both"):
        read_pairs(write(tmp_path, "image_a,image_b,same\na.png,b.png,1\n"))


def test_an_item_twice_in_a_triplet_is_a_bad_row(tmp_path):
    lines = "\n".join(f"{n} a,{n} p,{n} n" for n in range(9))
    with pytest.raises(CrossModalError, match="row 10: expected different items on the sides positive and negative"):
        read_triplets(write(tmp_path, f"text_anchor,text_positive,text_negative\n{lines}\nx,y,y\n", "t.csv"))


def test_groups_stay_whole_and_belong_to_their_items(tmp_path):
    lines = "\n".join(f"{n} a,{n} b,1,writer {n % 6}" for n in range(60))
    pairs = read_pairs(write(tmp_path, f"text_a,text_b,same,group\n{lines}\n"))
    assert len({*zip(pairs.groups.tolist(), pairs.splits.tolist(), strict=True)}) == 6
    assert set(pairs.splits) == {"train", "validation", "test"}
    assert [pairs.items.groups[index] for index in pairs.a[:3]] == ["writer 0", "writer 1", "writer 2"]
    assert len(pairs.split("test").groups) == len(pairs.split("test"))
    shared = read_pairs(write(tmp_path, "text_a,text_b,same,group\nx,y,1,p\ny,z,1,q\n"), DataConfig(test_share=0))
    assert shared.items.groups.tolist() == ["p", None, "q"]


def test_a_group_may_be_missing(tmp_path):
    pairs = read_pairs(write(tmp_path, "text_a,text_b,same,group\nx,y,1,\nu,v,1,\n"), DataConfig(test_share=0.5))
    assert pairs.groups.tolist() == [None, None]
    assert len(set(pairs.splits)) == 2


def test_everything_connected_needs_a_split_column(tmp_path):
    with pytest.raises(CrossModalError, match="all rows are connected by shared items, expected a split column"):
        read_pairs(write(tmp_path, "text_a,text_b,same\na,b,1\nb,c,0\n"))


def test_the_largest_component_trains(tmp_path):
    star = "\n".join(f"hub,{number},1" for number in range(50))
    pairs = read_pairs(write(tmp_path, f"text_a,text_b,same\n{star}\nx,y,1\nz,w,0\n"), DataConfig(seed=3))
    assert set(pairs.splits[:50]) == {"train"}
    assert set(pairs.splits[50:]) == {"test", "validation"}


def test_triplets(tmp_path):
    lines = "\n".join(f"{n} a,{n} p,{n} n" for n in range(30))
    triplets = read_triplets(write(tmp_path, f"text_anchor,text_positive,text_negative\n{lines}\n", "t.csv"))
    assert len(triplets) == 30
    texts = triplets.items.texts
    assert [texts[getattr(triplets, side)[4]] for side in ("anchor", "positive", "negative")] == ["4 a", "4 p", "4 n"]
    assert {len(triplets.split(name)) > 0 for name in ("train", "validation", "test")} == {True}
    assert triplets.split("test").anchor.dtype == np.int64


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("text_a,text_b\na,b", r"pairs\.csv: expected one column of same and score, found none"),
        ("text_a,text_b,same,score\na,b,1,1", "expected one column of same and score, found same and score"),
        ("text_a,same\na,1", "expected a column image_b or text_b, found neither"),
        ("text_a,text_b,smae\na,b,1", r"unknown column 'smae' \(did you mean 'same'\?\)"),
        ("text_a,text_b,same\na,b,2", r"pairs\.csv row 1: same is '2', expected 0 or 1"),
        ("text_a,text_b,score\na,b,1.5", r"pairs\.csv row 1: score is 1\.5, expected a number from 0 to 1"),
        ("text_a,text_b,score\na,b,nan", "score is nan, expected a number from 0 to 1"),
        ("text_a,text_b,score\na,b,high", "score is 'high', expected a number from 0 to 1"),
        ("text_a,text_b,same,split\na,b,1,x", "split is 'x', expected train, validation or test"),
        ("text_a,image_b,same\na,no.png,1", r"pairs\.csv row 1: image 'no\.png' does not exist"),
        ("text_a,text_b,same", r"pairs\.csv: expected rows, found none"),
    ],
)
def test_faults_are_one_line(tmp_path, text, message):
    with pytest.raises(CrossModalError, match=message) as error:
        read_pairs(write(tmp_path, text))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("cell", ['["two", "captions"]', '{"en": "a cat"}'])
def test_a_cell_that_is_no_text_is_not_written_out_and_trained_on(tmp_path, cell):
    rows = f'{{"text_a": "x", "text_b": "y", "same": 1}}\n{{"text_a": {cell}, "text_b": "z", "same": 0}}\n'
    with pytest.raises(CrossModalError, match=r"^pairs\.jsonl row 2: found a cell that holds a .*, expected one text$"):
        read_pairs(write(tmp_path, rows, "pairs.jsonl"))


def test_kind_of(tmp_path):
    assert kind_of(write(tmp_path, "text_a,text_b,same\n")) == "pairs"
    assert kind_of(write(tmp_path, "image_anchor\n")) == "triplets"
    assert kind_of(write(tmp_path, "image,text\n")) == "items"
    assert kind_of("glyphs") == "items"
