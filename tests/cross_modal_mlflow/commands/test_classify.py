"""``cross-modal classify`` as a user types it: the class, how sure, why, and when it is none of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toys.shape_gallery import write_shape_gallery
from toys.shapes import shapes
from toys.tiny_twin import tiny_twin
from toys.toy_gallery import PLAIN, write_twin

from cross_modal.data.decode import decode
from cross_modal.data.items import Items
from cross_modal.embed_items import open_pictures
from cross_modal.encoders.embedding import embed_images
from cross_modal.fewshot.classifiers import NearestNeighbours, Prototypes
from cross_modal.gallery.binding import Binding
from cross_modal.gallery.gallery import Gallery
from cross_modal.gallery.indexing import IndexConfig, index_items
from cross_modal_mlflow.command_line import main


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shape_gallery(tmp_path_factory.mktemp("gallery"))


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a cohort."""
    return write_shape_gallery(tmp_path_factory.mktemp("guarded"), cohort=True)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def answers(*words: str) -> dict[str, Any]:
    """The command's report, its protocol."""
    assert main(["classify", *words, "--json", "answers.json"]) == 0
    report = json.loads(Path("answers.json").read_text())
    return report["protocol"] | {"metrics": report["metrics"]}


def new(gallery: Path) -> list[str]:
    return sorted(str(path) for path in (gallery.parent / "pictures").glob("1-*.png"))


def embedded(paths: list[str], normalise: bool = True) -> np.ndarray:
    twin = tiny_twin()
    twin.normalise = normalise
    return embed_images(twin, open_pictures(Items.of(images=paths), twin, PLAIN), np.arange(len(paths)))


def supports(gallery: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Genuine pictures and their labels, texts and theirs."""
    matrix = Gallery.open(gallery).matrix()
    images = (matrix.column("kind") == "image") & (matrix.column("genuine") == True)  # noqa: E712
    texts = matrix.column("kind") == "text"
    labels = matrix.column("label").astype(str)
    return matrix.vectors[images], labels[images], matrix.vectors[texts], labels[texts]


class TestLabels:
    def test_they_are_those_of_the_classifier_on_the_genuine_rows(self, gallery: Path) -> None:
        X, y, texts, text_labels = supports(gallery)
        order = np.argsort(text_labels)
        for name, method in (("prototypes", Prototypes), ("NearestNeighbours", NearestNeighbours)):
            expected = method(texts=texts[order], classes=text_labels[order]).fit(X, y).predict(embedded(new(gallery)))
            about = answers(str(gallery), *new(gallery), "--method", name, "--false-accept-rate", "1")["image"]
            assert [each["label"] for each in about["predictions"]] == expected.tolist()
            assert about["shots"] == len(X) == 47
            assert about["texts"] == 8

    def test_many_items_in_one_call_are_each_as_alone(self, gallery: Path) -> None:
        together = answers(str(gallery), *new(gallery)[:3])["image"]["predictions"]
        alone = [answers(str(gallery), name)["image"]["predictions"][0] for name in new(gallery)[:3]]
        for a, b in zip(together, alone, strict=True):
            assert a["label"] == b["label"]
            assert [each["confidence"] for each in a["candidates"]] == pytest.approx(
                [each["confidence"] for each in b["candidates"]], abs=1e-4
            )

    def test_top_candidates_with_confidences_and_the_margin(self, gallery: Path) -> None:
        every = answers(str(gallery), new(gallery)[0], "--top", "8")["image"]["predictions"][0]
        confidences = [each["confidence"] for each in every["candidates"]]
        assert sum(confidences) == pytest.approx(1.0, abs=1e-5)
        assert confidences == sorted(confidences, reverse=True)
        scores = [each["score"] for each in every["candidates"]]
        for top in ("1", "2", "50"):
            some = answers(str(gallery), new(gallery)[0], "--top", top)["image"]["predictions"][0]
            assert len(some["candidates"]) == min(int(top), 8)
            assert some["margin"] == pytest.approx(scores[0] - scores[1], abs=1e-6)

    def test_a_filter_chooses_the_examples(self, gallery: Path) -> None:
        about = answers(str(gallery), new(gallery)[0], "--where", "label=box|frame", "split=train", "--top", "5")[
            "image"
        ]
        assert about["classes"] == 2
        assert {each["label"] for each in about["predictions"][0]["candidates"]} == {"box", "frame"}

    def test_a_text_is_compared_with_texts(self, gallery: Path) -> None:
        about = answers(str(gallery), "--text", "a frame", "a dots", "--false-accept-rate", "1")["text"]
        assert [each["label"] for each in about["predictions"]] == ["frame", "dots"]
        assert (about["shots"], about["texts"]) == (8, 0)

    def test_pictures_are_compared_with_texts_where_there_are_only_texts(self, tmp_path: Path) -> None:
        model = write_twin(tmp_path / "model")
        twin, binding = Binding.of_folder(model, str(model))
        with Gallery.create("texts.gallery", binding) as gallery:
            index_items(gallery, twin, shapes(1).split("test"), IndexConfig(of="text"), PLAIN)
        from PIL import Image

        Image.fromarray(np.asarray(shapes(1).images[0])).save("a.png")
        about = answers("texts.gallery", "a.png")["image"]
        assert (about["shots"], about["texts"]) == (0, 6)
        assert about["rejection"]["threshold"] is None
        assert any("texts alone" in note for note in about["notes"])


class TestVotes:
    def test_the_references_that_voted_are_of_the_class(self, gallery: Path) -> None:
        matrix = Gallery.open(gallery).matrix()
        label_of = dict(zip(matrix.ids, matrix.column("label"), strict=True))
        genuine = dict(zip(matrix.ids, matrix.column("genuine"), strict=True))
        for method in ("prototypes", "nearest_neighbours", "tip_adapter"):
            about = answers(str(gallery), *new(gallery)[:4], "--method", method)["image"]
            for prediction in about["predictions"]:
                for candidate in prediction["candidates"]:
                    voters = [voter["id"] for voter in candidate["voters"] if voter["id"] != "its text"]
                    assert voters
                    assert {label_of[name] for name in voters} == {candidate["label"]}
                    assert all(genuine[name] for name in voters)

    def test_an_item_that_is_itself_a_reference_is_found_out(
        self, gallery: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        mine = str(gallery.parent / "pictures" / "0-frame-2.png")
        assert main(["classify", str(gallery), mine]) == 0
        assert "is itself among the references" in capsys.readouterr().err


class TestUnknown:
    def test_a_stranger_is_unknown_and_a_known_one_is_not(
        self, guarded: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        about = answers(str(guarded), *new(guarded))["image"]
        assert about["rejection"]["strangers"] == "cohort"
        assert about["rejection"]["impostors"] == 200
        X, y, texts, text_labels = supports(guarded)
        order = np.argsort(text_labels)
        classifier = Prototypes(texts=texts[order], classes=text_labels[order]).fit(X, y)
        best = classifier.scores(embedded(new(guarded))).max(1) / 100
        known = [each["label"] is not None for each in about["predictions"]]
        assert known == (best >= about["rejection"]["threshold"]).tolist()
        capsys.readouterr()
        assert main(["classify", str(guarded), *new(guarded)]) == 0
        assert "of the cohort" in capsys.readouterr().out

    def test_a_smaller_rate_refuses_more(self, guarded: Path) -> None:
        refused = [
            answers(str(guarded), *new(guarded), "--false-accept-rate", rate)["metrics"]["classify/image/unknown"]
            for rate in ("1", "0.5", "0.05", "0")
        ]
        assert refused == sorted(refused)
        assert refused[0] == 0

    def test_without_a_cohort_it_says_what_stands_for_strangers(
        self, gallery: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["classify", str(gallery), new(gallery)[0]]) == 0
        out, err = capsys.readouterr()
        assert "that references stand for" in out
        assert "held-out references" in out
        assert "no cohort: references stand for strangers" in err
        assert "left out, as they are not genuine: 1 of the references" in err

    def test_an_enrolled_identity_of_the_cohort_is_no_stranger(self, guarded: Path) -> None:
        about = answers(str(guarded), new(guarded)[0])["image"]
        with Gallery.open(guarded) as gallery:
            from cross_modal.gallery.cohort import ATTACHMENT, Cohort

            content = gallery.attachment(ATTACHMENT)
            assert content is not None
            cohort = Cohort.from_bytes(content)
            labels = cohort.labels.copy()
            labels[:40] = "box"
            gallery.attach(ATTACHMENT, Cohort.of(cohort.embeddings, labels).to_bytes())
        fewer = answers(str(guarded), new(guarded)[0])["image"]
        with Gallery.open(guarded) as gallery:
            gallery.attach(ATTACHMENT, content)
        assert (about["rejection"]["impostors"], fewer["rejection"]["impostors"]) == (200, 160)


class TestOutput:
    def test_a_table_for_people(self, gallery: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["classify", str(gallery), *new(gallery)[:2], "--top", "2"]) == 0
        out = capsys.readouterr().out
        head = out.splitlines()[1]
        assert all(name in head for name in ("item", "label", "confidence", "score", "margin", "because of"))
        assert "prototypes, 8 classes, 47 pictures and 8 texts" in out
        assert " %" in out

    def test_a_page_with_the_voters(self, gallery: Path) -> None:
        assert main(["classify", str(gallery), new(gallery)[0], "--top", "2", "--html", "a.html"]) == 0
        page = Path("a.html").read_text()
        assert page.count("<img") >= 3
        assert "confidence" in page
        assert "the item" in page

    def test_pictures_and_texts_in_one_call_each_have_their_classifier(self, gallery: Path) -> None:
        about = answers(str(gallery), new(gallery)[0], "--text", "a box")
        assert set(about["metrics"]) >= {"classify/image/items", "classify/image/unknown", "classify/text/items"}
        assert about["image"]["rejection"]["held_out"] == 47


class TestEuclidean:
    def test_a_twin_that_keeps_magnitudes_classifies_by_distance(self, tmp_path: Path) -> None:
        gallery = write_shape_gallery(tmp_path / "far", normalise=False)
        about = answers(str(gallery), *new(gallery), "--method", "nearest_neighbours", "--false-accept-rate", "1")[
            "image"
        ]
        X, y, _, _ = supports(gallery)
        vectors = embedded(new(gallery), normalise=False)
        distances = np.linalg.norm(vectors[:, None] - X, axis=2)
        assert [each["label"] for each in about["predictions"]] == y[distances.argmin(1)].tolist()


class TestBadInput:
    @pytest.mark.parametrize(
        ("words", "says"),
        [
            ([], "expected picture files or --text WORDS, found none"),
            (["missing.png"], "expected a picture file, found nothing at missing.png"),
            (["--text", ""], "expected a text, found an empty one"),
            (["--text", "a", "--top", "0"], "--top: expected at least 1, found 0"),
            (["--text", "a", "--method", "magic"], "--method: expected one of zero_shot, prototypes"),
            (["--text", "a", "--false-accept-rate", "2"], "--false-accept-rate: expected a share from 0 to 1, found 2"),
            (["--text", "a", "--where", "label=zebra"], "expected references that it keeps, found none of 56"),
            (["--text", "a", "--where", "genuine=no"], "expected references with a label, found forgeries only"),
            (["--text", "a", "--where", "colour=red"], "colour"),
        ],
    )
    def test_one_line_says_what_is_wrong(
        self, gallery: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
    ) -> None:
        assert main(["classify", str(gallery), *words]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert says in line

    def test_galleries_that_cannot_classify(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        model = write_twin(tmp_path / "model")
        twin, binding = Binding.of_folder(model, str(model))
        with Gallery.create("refs.gallery", binding) as gallery:
            assert main(["classify", "refs.gallery", "--text", "a"]) == 2
            assert "found an empty gallery" in capsys.readouterr().err
            index_items(gallery, twin, shapes(2, labels=False).split("test"), None, PLAIN)
        assert main(["classify", "refs.gallery", "--text", "a"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "expected references with a label, found" in line

    def test_a_text_for_a_model_of_pictures(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        model = write_twin(tmp_path / "model", text="none")
        twin, binding = Binding.of_folder(model, str(model))
        with Gallery.create("refs.gallery", binding) as gallery:
            index_items(gallery, twin, shapes(2).split("test"), None, PLAIN)
        assert main(["classify", "refs.gallery", "--text", "a"]) == 2
        assert "expected a picture, which is all that this gallery's model compares" in capsys.readouterr().err

    def test_a_picture_that_is_none(self, gallery: Path, capsys: pytest.CaptureFixture[str]) -> None:
        Path("a.png").write_bytes(b"\x89PNG broken")
        with pytest.raises(ValueError, match="unreadable"):
            decode("a.png")
        assert main(["classify", str(gallery), "a.png"]) == 2
        assert "'a.png' is unreadable" in capsys.readouterr().err
