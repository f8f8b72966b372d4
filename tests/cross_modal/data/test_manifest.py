"""Manifests in four formats give the same items; every fault is one line with file and row."""

import io
import json

import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from cross_modal.configuration import DataConfig
from cross_modal.data.manifest import is_manifest, kind_of_columns, read_manifest
from cross_modal.errors import CrossModalError

ROWS = [
    {
        "image": "pics/a.png",
        "text": 'a "tall, thin" wren',
        "label": "NA",
        "split": "train",
        "group": "1",
        "genuine": "1",
    },
    {"image": "pics/b.png", "text": "", "label": "001", "split": "val", "group": "2", "genuine": "0"},
    {"image": "", "text": "naïve Zaunkönig", "label": "None", "split": "test", "group": "2", "genuine": "true"},
]
SKIP = DataConfig(on_bad_item="skip")


def png() -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (3, 3)).save(buffer, "PNG")
    return buffer.getvalue()


def write(folder, form: str, rows=ROWS):
    (folder / "pics").mkdir(exist_ok=True)
    for name in ("a", "b"):
        (folder / "pics" / f"{name}.png").write_bytes(png())
    file = folder / f"items.{form}"
    if form == "jsonl":
        file.write_text("\n".join(json.dumps({name: cell for name, cell in row.items() if cell}) for row in rows))
    elif form == "parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), file)
    else:
        separator = "," if form == "csv" else "\t"
        quoted = [[f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in row.values()] for row in rows]
        file.write_text("\n".join(separator.join(cells) for cells in [list(rows[0]), *quoted]), encoding="utf-8")
    return str(file)


@pytest.mark.parametrize("form", ["csv", "tsv", "parquet", "jsonl"])
def test_four_formats_give_the_same_items(tmp_path, form):
    items = read_manifest(write(tmp_path, form), DataConfig())
    assert items.labels.tolist() == ["NA", "001", "None"]
    assert items.texts.tolist() == ['a "tall, thin" wren', None, "naïve Zaunkönig"]
    assert [cell and cell.removeprefix(str(tmp_path)) for cell in items.images] == ["/pics/a.png", "/pics/b.png", None]
    assert items.splits.tolist() == ["train", "validation", "test"]
    assert items.groups.tolist() == ["1", "2", "2"]
    assert items.genuine.tolist() == [True, False, True]
    assert items.rows.tolist() == [1, 2, 3]


def test_byte_order_mark_blank_lines_and_captions_over_two_lines(tmp_path):
    file = tmp_path / "items.csv"
    file.write_bytes(b'\xef\xbb\xbftext,label\r\n"two\nlines",a\r\n\r\nb,b\r\n')
    assert read_manifest(str(file), DataConfig()).texts.tolist() == ["two\nlines", "b"]


def test_parquet_with_picture_bytes_and_hugging_face_labels(tmp_path):
    rows = [
        {"image": {"bytes": png(), "path": "a.png"}, "label": 1},
        {"image": {"bytes": png(), "path": None}, "label": 0},
    ]
    features = {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}, "image": {"_type": "Image"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    folder = tmp_path / "split=train"  # must not become a column
    folder.mkdir()
    file = folder / "items.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows).replace_schema_metadata(metadata), file)
    items = read_manifest(str(file), DataConfig())
    assert items.labels.tolist() == ["dog", "cat"]
    assert items.images[0] == png()
    assert items.splits is None
    plain = tmp_path / "plain.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"image": [png(), None], "text": [None, "x"], "label": [3, 4]}), plain)
    items = read_manifest(str(plain), DataConfig())
    assert items.labels.tolist() == ["3", "4"]
    assert items.images[1] is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "text,labels\nx,y",
            r"items\.csv: unknown column 'labels' \(did you mean 'label'\?\), expected image, text, label",
        ),
        ("text,zzz\nx,y", r"items\.csv: unknown column 'zzz', expected"),
        ("text,text\nx,y", r"items\.csv: column 'text' stands twice"),
        ("label\nx", r"items\.csv: expected a column image or text, found label"),
        ("text,label\nx,a\ny, ", r"items\.csv row 2: label is empty"),
        ("image,text\n,x\na.png,y", r"items\.csv row 2: image 'a\.png' does not exist"),
        ("image,text\n,x\n,", r"items\.csv row 2: expected an image or a text, found neither"),
        ("text,split\nx,trian", r"items\.csv row 1: split is 'trian', expected train, validation or test"),
        ("text,split\nx,", r"items\.csv row 1: split is empty"),
        ("text,group\nx,", r"items\.csv row 1: group is empty"),
        ("text,genuine\nx,2", r"items\.csv row 1: genuine is '2', expected 0 or 1"),
        ("text,label\nx,a\ny", r"items\.csv row 2: expected 2 cells, found 1"),
        ("text,label\nx,a,b", r"items\.csv row 1: expected 2 cells, found 3"),
        ('text\n"x', r"items\.csv: expected well-formed CSV"),
        ("", r"items\.csv: expected a header and rows, found an empty file"),
        ("image_a,image_b,same\nx,y,1", r"items\.csv: expected items .*, found columns of pairs"),
    ],
)
def test_faults_of_csv_are_one_line(tmp_path, content, message):
    file = tmp_path / "items.csv"
    file.write_text(content)
    with pytest.raises(CrossModalError, match=message) as error:
        read_manifest(str(file), DataConfig())
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("form", "content", "message"),
    [
        ("jsonl", b'{"text": "a"}\n{"text": ', r"items\.jsonl row 2: expected a JSON object, found broken JSON"),
        ("jsonl", b'{"text": "a"}\n["b"]', r"items\.jsonl row 2: expected a JSON object, found list"),
        ("jsonl", b'{"text": "a"}\n{"txt": "b"}', r"items\.jsonl: unknown column 'txt' \(did you mean 'text'"),
        ("jsonl", b'{"text": "a", "image": 3}', r"items\.jsonl row 1: image is a int, expected a path or bytes"),
        ("parquet", b"no parquet", r"items\.parquet: expected a Parquet file"),
        ("csv", b"text\n\xff\xfe", r"items\.csv: expected UTF-8, found byte 0xff"),
    ],
)
def test_faults_of_the_other_formats(tmp_path, form, content, message):
    file = tmp_path / f"items.{form}"
    file.write_bytes(content)
    with pytest.raises(CrossModalError, match=message) as error:
        read_manifest(str(file), DataConfig())
    assert "\n" not in str(error.value)


def test_a_missing_manifest():
    with pytest.raises(CrossModalError, match=r"gone\.csv: expected a manifest, found no such file"):
        read_manifest("gone.csv", DataConfig())


def test_skip_drops_counts_and_lists(tmp_path):
    file = tmp_path / "items.csv"
    file.write_text("image,text,label\n,fine,a\nno.png,x,a\n,y,\n,also fine,b\n")
    items = read_manifest(str(file), SKIP)
    assert items.rows.tolist() == [1, 4]
    assert [str(bad) for bad in items.skipped] == [
        "items.csv row 2: image 'no.png' does not exist",
        "items.csv row 3: label is empty",
    ]


def test_kinds():
    assert is_manifest("A.CSV")
    assert not is_manifest("folder")
    assert kind_of_columns(["image_anchor", "image_positive", "image_negative"]) == "triplets"
    assert kind_of_columns(["text_a", "text_b", "score"]) == "pairs"
