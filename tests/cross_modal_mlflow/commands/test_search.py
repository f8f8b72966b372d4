"""``cross-modal search`` as a user types it: what it finds is what a plain comparison finds."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toys.shape_gallery import write_shape_gallery
from toys.tiny_twin import tiny_twin
from toys.toy_gallery import write_gallery

from cross_modal.encoders.embedding import embed_texts
from cross_modal.encoders.saved_twin import save_twin
from cross_modal.gallery.gallery import Gallery
from cross_modal_mlflow.command_line import main


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shape_gallery(tmp_path_factory.mktemp("gallery"))


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    """What the command prints, or the one line of its error."""
    assert main(["search", *words]) == code
    out, err = capsys.readouterr()
    if code:
        assert len(err.splitlines()) == 1
        return err
    return out


def found(*words: str) -> dict[str, Any]:
    """The command's report; hits under "hits"."""
    assert main(["search", *words, "--json", "found.json"]) == 0
    about = json.loads(Path("found.json").read_text())
    return about["protocol"] | {"metrics": about["metrics"], "seconds": about["seconds"]}


def ids(about: dict[str, Any]) -> list[str]:
    return [hit["id"] for hit in about["hits"]]


def picture(gallery: Path, name: str) -> str:
    return str(gallery.parent / "pictures" / f"{name}.png")


def plain(gallery: Path, query: np.ndarray, keep: np.ndarray | None = None) -> list[str]:
    """Ids by falling cosine, all of them."""
    matrix = Gallery.open(gallery).matrix()
    scores = matrix.vectors @ query
    rows = np.lexsort((np.arange(len(scores)), -scores))
    return [str(matrix.ids[row]) for row in rows if keep is None or keep[row]]


class TestQueries:
    def test_a_text_finds_what_a_plain_comparison_finds(self, gallery: Path) -> None:
        about = found(str(gallery), "--text", "a box", "--top", "7")
        assert ids(about) == plain(gallery, embed_texts(tiny_twin(), ["a box"])[0])[:7]
        assert [hit["rank"] for hit in about["hits"]] == list(range(1, 8))
        assert about["hits"][0]["kind"] == "text"
        assert about["hits"][0]["score"] == pytest.approx(1.0, abs=1e-5)

    def test_a_picture_of_the_gallery_finds_itself_first(self, gallery: Path) -> None:
        about = found(str(gallery), "--image", picture(gallery, "0-frame-2"), "--where", "kind=image")
        assert ids(about)[0].endswith("0-frame-2.png")
        assert about["hits"][0]["score"] == pytest.approx(1.0, abs=1e-5)
        assert about["hits"][0]["label"] == "frame"

    def test_an_item_finds_others_as_its_vector_does_but_not_itself(self, gallery: Path) -> None:
        matrix = Gallery.open(gallery).matrix()
        name = str(matrix.ids[3])
        about = found(str(gallery), "--id", name, "--top", "5")
        assert ids(about) == [other for other in plain(gallery, matrix.vectors[3]) if other != name][:5]

    def test_a_mix_ranks_by_the_weighted_sum_of_scores(self, gallery: Path) -> None:
        matrix = Gallery.open(gallery).matrix()
        name, other = str(matrix.ids[3]), str(matrix.ids[20])
        text = embed_texts(tiny_twin(), ["a cross, wet"])[0]
        sums = matrix.vectors @ (matrix.vectors[3] + 0.5 * text - 0.25 * matrix.vectors[20])
        expected = [str(matrix.ids[row]) for row in np.argsort(-sums, kind="stable")]
        about = found(str(gallery), "--query", f"1 id:{name} + 0.5 text:a cross, wet - 0.25 id:{other}", "--top", "6")
        assert ids(about) == [each for each in expected if each not in (name, other)][:6]

    def test_options_are_the_equation_that_they_say(self, gallery: Path) -> None:
        image = picture(gallery, "1-box-0")
        by_options = found(str(gallery), "--image", image, "--text", "a, b", "--not", "a pole", "--top", "9")
        assert by_options["query"] == f"1 image:{image} + 1 text:a, b - 0.5 text:a pole"
        assert ids(by_options) == ids(found(str(gallery), "--query", by_options["query"], "--top", "9"))

    @pytest.mark.parametrize("text", ["null", "12", "yes", "a: b", "[x]", "{x}", "- x", "x # y", '"x"', "~", "ä ö"])
    def test_texts_arrive_as_they_were_typed(self, gallery: Path, text: str) -> None:
        about = found(str(gallery), "--text", text, "--top", "1")
        assert ids(about) == plain(gallery, embed_texts(tiny_twin(), [text])[0])[:1]

    def test_more_hits_than_references_are_all_of_them(self, gallery: Path) -> None:
        matrix = Gallery.open(gallery).matrix()
        assert len(found(str(gallery), "--text", "a box", "--top", "1000")["hits"]) == len(matrix)
        about = found(str(gallery), "--id", str(matrix.ids[0]), "--top", "1000")
        assert len(about["hits"]) == len(matrix) - 1


class TestFiltersAndClasses:
    def test_a_filter_is_exact(self, gallery: Path) -> None:
        matrix = Gallery.open(gallery).matrix()
        keep = (matrix.column("label") != "box") & (matrix.column("split") == "train")
        about = found(str(gallery), "--text", "a box", "--where", "label!=box", "split=train", "--top", "1000")
        assert ids(about) == plain(gallery, embed_texts(tiny_twin(), ["a box"])[0], keep)
        assert about["searched"] == int(keep.sum())

    def test_by_class_gives_the_best_genuine_item_of_each(self, gallery: Path) -> None:
        matrix = Gallery.open(gallery).matrix()
        labels, genuine = matrix.column("label"), matrix.column("genuine").astype(bool)
        order = plain(gallery, embed_texts(tiny_twin(), ["a box"])[0], genuine)
        label_of = dict(zip(matrix.ids, labels, strict=True))
        best: dict[str, str] = {}
        for name in order:
            best.setdefault(label_of[name], name)
        for top in ("3", "50"):
            about = found(str(gallery), "--text", "a box", "--by-class", "--top", top)
            assert ids(about) == list(best.values())[: int(top)]

    def test_an_item_never_stands_for_its_own_class(self, gallery: Path) -> None:
        matrix = Gallery.open(gallery).matrix()
        for row in (0, 9):
            about = found(str(gallery), "--id", str(matrix.ids[row]), "--by-class", "--top", "8")
            assert len(about["hits"]) == 8
            assert str(matrix.ids[row]) not in ids(about)
            assert {hit["label"] for hit in about["hits"]} == set(matrix.column("label"))

    def test_a_forgery_is_shown_as_one(self, gallery: Path, capsys: pytest.CaptureFixture[str]) -> None:
        words = [str(gallery), "--image", picture(gallery, "0-box-5"), "--where", "kind=image", "--top", "1"]
        assert "box (not genuine)" in said(capsys, *words)

    @pytest.mark.parametrize("cells", [1, 40])
    def test_classes_are_exact_however_few_hits_are_held(
        self, gallery: Path, monkeypatch: pytest.MonkeyPatch, cells: int
    ) -> None:
        words = [str(gallery), "--queries", str(gallery.parent / "new.csv"), "--by-class", "--top", "8", "--out"]
        assert main(["search", *words, "a.csv"]) == 0
        monkeypatch.setattr("cross_modal_mlflow.gallery_search.CELLS", cells)
        monkeypatch.setattr("cross_modal_mlflow.gallery_search.BLOCK", 3)
        assert main(["search", *words, "b.csv"]) == 0
        a, b = (list(csv.DictReader(Path(name).read_text().splitlines())) for name in ("a.csv", "b.csv"))
        scores = [[float(hit.pop("score")) for hit in hits] for hits in (a, b)]
        assert a == b
        assert len(a) == 16 * 8
        assert scores[0] == pytest.approx(scores[1], abs=1e-4)  # other batches round otherwise


class TestEuclidean:
    def test_a_twin_that_keeps_magnitudes_ranks_by_distance_to_the_weighted_mean(self, tmp_path: Path) -> None:
        gallery = write_shape_gallery(tmp_path / "far", normalise=False)
        matrix = Gallery.open(gallery).matrix()
        one, other = str(matrix.ids[3]), str(matrix.ids[20])
        mean = (matrix.vectors[3] + 0.5 * matrix.vectors[20]) / 1.5
        distances = np.linalg.norm(matrix.vectors - mean, axis=1)
        expected = [row for row in np.argsort(distances, kind="stable") if row not in (3, 20)][:5]
        about = found(str(gallery), "--query", f"id:{one} + 0.5 id:{other}", "--top", "5")
        assert ids(about) == [str(matrix.ids[row]) for row in expected]
        assert [hit["score"] for hit in about["hits"]] == pytest.approx((-distances[expected]).tolist(), rel=1e-4)
        assert main(["search", str(gallery), "--query", f"id:{one} - id:{other}"]) == 2
        reranked = found(str(gallery), "--image", picture(gallery, "1-box-0"), "--rerank", "--rerank-weight", "1")
        assert all(hit["tokens"] <= 0 for hit in reranked["hits"])


class TestOutput:
    def test_a_table_for_people_with_a_badge(self, gallery: Path, capsys: pytest.CaptureFixture[str]) -> None:
        out = said(capsys, str(gallery), "--text", "a box", "--top", "3", "--where", "kind=image")
        assert out.splitlines()[0] == "text:a box"
        assert "exact, 48 of 56 references, " in out.splitlines()[-1]
        assert out.count("│    ") >= 3

    def test_a_page_with_pictures(self, gallery: Path, capsys: pytest.CaptureFixture[str]) -> None:
        words = ["--image", picture(gallery, "1-box-0"), "--not", "a <b>", "--where", "kind=image", "--html", "a.html"]
        said(capsys, str(gallery), *words, "--top", "4")
        page = Path("a.html").read_text()
        assert page.count("<img") == 5
        assert "a &lt;b&gt;" in page
        assert "but not" in page
        assert "exact, 48 of 56 references" in page

    def test_a_file_of_queries_answers_row_by_row(self, gallery: Path, capsys: pytest.CaptureFixture[str]) -> None:
        rows = list(csv.DictReader((gallery.parent / "new.csv").open()))
        out = said(capsys, str(gallery), "--queries", str(gallery.parent / "new.csv"), "--top", "2")
        hits = list(csv.DictReader(out.splitlines()))
        assert [(hit["query"], hit["rank"]) for hit in hits] == [
            (str(row), rank) for row in range(1, len(rows) + 1) for rank in "12"
        ]
        for number in (0, 5):
            alone = found(str(gallery), "--image", rows[number]["image"], "--text", rows[number]["text"], "--top", "2")
            assert ids(alone) == [hit["id"] for hit in hits[2 * number : 2 * number + 2]]

    def test_equations_and_ids_in_a_file(self, gallery: Path) -> None:
        name = str(Gallery.open(gallery).matrix().ids[4])
        with open("q.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerows([["query", "id", "note"], ["1 text:a box - 0.5 text:x", "", "n"], ["", name, "n"]])
        about = found(str(gallery), "--queries", "q.csv", "--out", "hits.csv", "--by-class", "--top", "3")
        assert about["metrics"] == {"search/queries": 2, "search/hits": 6}
        hits = list(csv.DictReader(Path("hits.csv").read_text().splitlines()))
        assert [hit["id"] for hit in hits[3:]] == ids(found(str(gallery), "--id", name, "--by-class", "--top", "3"))

    def test_no_queries_give_a_header(self, gallery: Path, capsys: pytest.CaptureFixture[str]) -> None:
        Path("q.csv").write_text("text\n")
        assert said(capsys, str(gallery), "--queries", "q.csv").startswith("query,asked,rank,score,id")


class TestReranking:
    def test_it_reorders_what_was_found_and_says_from_where(self, gallery: Path) -> None:
        words = [str(gallery), "--image", picture(gallery, "1-frame-1"), "--top", "48", "--where", "kind=image"]
        before, after = found(*words), found(*words, "--rerank", "--rerank-weight", "1")
        assert sorted(ids(before)) == sorted(ids(after))
        assert [hit["before"] for hit in after["hits"]] == [ids(before).index(name) + 1 for name in ids(after)]
        tokens = [hit["tokens"] for hit in after["hits"]]
        assert tokens == sorted(tokens, reverse=True)
        assert ids(found(*words, "--rerank", "--rerank-weight", "0")) == ids(before)

    def test_only_the_best_are_looked_at_again(self, gallery: Path) -> None:
        words = [str(gallery), "--image", picture(gallery, "1-frame-1"), "--top", "3"]
        after = found(*words, "--rerank", "--rerank-depth", "6")
        assert len(after["hits"]) == 3
        assert {hit["before"] for hit in after["hits"]} <= set(range(1, 7))

    def test_thumbnails_stand_in_for_files_that_are_gone(
        self, gallery: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        copy = write_shape_gallery(tmp_path / "copy")
        new = picture(copy, "1-box-0")
        for path in (copy.parent / "pictures").glob("0-*"):
            path.unlink()
        assert main(["search", str(copy), "--image", new, "--where", "kind=image", "--rerank", "--json", "a.json"]) == 0
        assert "note: 48 of 48 candidates re-ranked by thumbnail" in capsys.readouterr().err
        assert all(hit["tokens"] is not None for hit in json.loads(Path("a.json").read_text())["protocol"]["hits"])

    def test_texts_are_reranked_by_their_words(self, gallery: Path) -> None:
        about = found(str(gallery), "--text", "a box", "--where", "kind=text", "--rerank", "--rerank-weight", "1")
        assert about["hits"][0]["text"] == "a box"
        assert about["hits"][0]["tokens"] == pytest.approx(1.0, abs=1e-4)


class TestBadInput:
    @pytest.mark.parametrize(
        ("words", "says"),
        [
            ([], "expected --image FILE, --text WORDS, --id ID or --query EQUATION, found none"),
            (["--image", "missing.png"], "expected a picture file, found nothing at missing.png"),
            (["--text", " "], "expected a text, found an empty one"),
            (["--query", " "], "found an empty one"),
            (["--query", "red shoe"], "expected a term"),
            (["--query", "0 text:a + 0 text:b"], "found only zeros"),
            (["--query", "1 text:a - 1 text:a"], "cancel each other out"),
            (["--id", "nobody"], "expected an id that it holds, found 'nobody'"),
            (["--text", "a", "--top", "0"], "--top: expected at least 1, found 0"),
            (["--text", "a", "--where", "label=zebra"], "expected references that it keeps, found none of 56"),
            (["--text", "a", "--where", "colour=red"], "colour"),
            (["--text", "a", "--where", "label"], "filter: expected COLUMN=VALUE"),
            (["--text", "a", "--out", "x.csv"], "--out: expected --queries"),
            (["--text", "a", "--queries", "x.csv"], "--queries: expected it without --text"),
            (["--queries", "missing.csv"], "missing.csv: expected a CSV file of queries"),
            (["--text", "a", "--rerank-weight", "2"], "--rerank-weight: expected a number from 0 to 1, found 2"),
            (["--text", "a", "--html", "missing/a.html"], "--html missing/a.html: the page could not be written"),
        ],
    )
    def test_one_line_says_what_is_wrong(
        self, gallery: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
    ) -> None:
        assert main(["search", str(gallery), *words]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert says in line

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            ("a,b\n1,2\n", "expected some of the columns image, text, id, query, found a, b"),
            ("", "expected some of the columns image, text, id, query, found none"),
            ("text,id\nx,\n,\n", "q.csv row 2: expected an image, a text, an id or a query, found none"),
            ("image\nmissing.png\n", "q.csv row 1: expected a picture file, found nothing at missing.png"),
            ("query\nred\n", "q.csv row 1: expected a term"),
            ("text,id\nx\n", "q.csv row 1: expected as many cells as there are columns"),
            ("query\n1 text:a - 1 text:a\n", "q.csv row 1: query: the terms cancel"),
        ],
    )
    def test_a_bad_row_is_named(
        self, gallery: Path, capsys: pytest.CaptureFixture[str], content: str, says: str
    ) -> None:
        Path("q.csv").write_text(content)
        assert says in said(capsys, str(gallery), "--queries", "q.csv", "--out", "hits.csv", code=2)
        assert not Path("hits.csv").exists()

    def test_bytes_that_are_no_text(self, gallery: Path, capsys: pytest.CaptureFixture[str]) -> None:
        Path("q.csv").write_bytes(b"text\n\xff\n")
        assert "q.csv: expected UTF-8" in said(capsys, str(gallery), "--queries", "q.csv", code=2)

    def test_a_picture_that_is_none(self, gallery: Path, capsys: pytest.CaptureFixture[str]) -> None:
        Path("a.png").write_text("no picture")
        assert "'a.png' is unreadable" in said(capsys, str(gallery), "--image", "a.png", code=2)

    def test_a_text_for_a_model_of_pictures(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        from toys.shapes import shapes
        from toys.toy_gallery import PLAIN, write_twin

        from cross_modal.gallery.binding import Binding
        from cross_modal.gallery.indexing import index_items

        model = write_twin(tmp_path / "model", text="none")
        twin, binding = Binding.of_folder(model, str(model))
        with Gallery.create("refs.gallery", binding) as gallery:
            index_items(gallery, twin, shapes(2).split("test"), None, PLAIN)
        says = said(capsys, "refs.gallery", "--text", "a box", code=2)
        assert "expected a picture, which is all that this gallery's model compares, found a text" in says

    def test_another_model(self, gallery: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        save_twin(tiny_twin(seed=1), tmp_path / "other")
        says = said(capsys, str(gallery), "--text", "a", "--model", str(tmp_path / "other"), code=2)
        assert "expected the model that made it" in says

    def test_a_gallery_that_is_not_there_empty_or_without_labels(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert "refs.gallery" in said(capsys, "refs.gallery", "--text", "a", code=2)
        assert "expected a GALLERY, found none" in said(capsys, "--text", "a", code=2)
        full = write_gallery(tmp_path / "full")
        with Gallery.open(full) as gallery:
            gallery.delete([str(name) for name in gallery.matrix().ids])
        assert "found an empty gallery" in said(capsys, str(full), "--text", "a", code=2)
        shutil.rmtree(full)
        with Gallery.create(full, gallery_binding(tmp_path / "full" / "model")) as gallery:
            index_without_labels(gallery, tmp_path / "full" / "model")
        assert "--by-class: expected labels" in said(capsys, str(full), "--text", "a", "--by-class", code=2)


def gallery_binding(model: Path) -> Any:
    from cross_modal.gallery.binding import Binding

    return Binding.of_folder(model, str(model))[1]


def index_without_labels(gallery: Gallery, model: Path) -> None:
    from toys.shapes import shapes
    from toys.toy_gallery import PLAIN

    from cross_modal.encoders.saved_twin import load_twin
    from cross_modal.gallery.indexing import index_items

    index_items(gallery, load_twin(model), shapes(2, labels=False).split("test"), None, PLAIN)
