"""What the Pair page says of two items is what the library says."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from toys.shape_gallery import write_shape_gallery

from cross_modal.data.items import Items
from cross_modal.errors import CrossModalError
from cross_modal.explanation.deletion import Deletion
from cross_modal.explanation.faithfulness import check_match
from cross_modal.explanation.match import explain_match
from cross_modal.explanation.side import Side
from cross_modal.gallery.gallery import Gallery
from cross_modal.gallery.late_interaction import late_interaction
from cross_modal.verification.pair_scorer import load_pair_scorer
from cross_modal_dashboards import resources
from cross_modal_dashboards.pair_drawing import linked_sides, mapped_side, plain_side
from cross_modal_dashboards.pair_items import PairItem, gallery_item, typed, uploaded
from cross_modal_dashboards.pair_view import (
    MAPS,
    PLAIN,
    Checked,
    check,
    compare,
    deletion_table,
    explain,
    in_sentences,
    late_interaction_score,
    link_table,
    notes_on,
    parts_table,
    truth,
    values_of,
    verdict_table,
)
from cross_modal_mlflow.gallery_reranking import image_tokens, text_tokens
from cross_modal_mlflow.verification_answer import UNCALIBRATED, Verifier


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gallery")
    write_shape_gallery(folder)
    return folder


@pytest.fixture(scope="module")
def verifier(place: Path) -> Verifier:
    return Verifier.load(place / "model", PLAIN)


@pytest.fixture
def gallery(place: Path) -> Gallery:
    return Gallery.open(place / "shapes.gallery")


def of_kind(gallery: Gallery, kind: str, count: int = 2) -> list[PairItem]:
    ids = [row["id"] for row in gallery.rows().to_pylist() if row["kind"] == kind]
    return [gallery_item(gallery, name) for name in ids[:: max(len(ids) // count, 1)][:count]]


def file_of(item: PairItem) -> str:
    assert item.side is not None
    assert isinstance(item.side.image, str)
    return item.side.image


@pytest.mark.parametrize("kinds", [("image", "image"), ("image", "text"), ("text", "text")])
def test_a_runs_answer_is_that_of_the_command_on_the_files(explored: Any, kinds: tuple[str, str]) -> None:
    model = resources.model(explored.uri, explored.run_id)
    verifier = Verifier(model.twin, load_pair_scorer(model.folder), model.calibration, PLAIN)
    gallery = Gallery.open(explored.folder / "galleries" / f"{explored.run_id}.gallery")
    a, b = of_kind(gallery, kinds[0])[0], of_kind(gallery, kinds[1])[1]
    answer = compare(verifier, a, b)
    assert a.side is not None
    assert b.side is not None
    command = Verifier.load(model.folder).answer(
        Items.of(images=[a.side.image, b.side.image], texts=[a.side.text, b.side.text], source="pair")
    )
    assert answer.score == pytest.approx(command.score, abs=1e-5)
    assert answer.probability == pytest.approx(command.probability, abs=1e-4)
    assert (answer.same, answer.threshold, answer.comparison) == (command.same, command.threshold, command.comparison)
    said = " ".join(in_sentences(answer))
    assert f"{answer.false_accept.percent()}" in said  # type: ignore[union-attr]
    assert answer.chosen_by is not None
    assert answer.chosen_by in said


def test_without_a_calibration_it_says_so_and_decides_nothing(verifier: Verifier, gallery: Gallery) -> None:
    a, b = of_kind(gallery, "image")
    answer = compare(verifier, a, b)
    assert answer.same is None
    assert UNCALIBRATED[1:] in " ".join(in_sentences(answer))


def test_an_upload_scores_as_the_gallerys_own_picture(verifier: Verifier, gallery: Gallery) -> None:
    a, b = of_kind(gallery, "image")
    again = uploaded(Path(file_of(a)).read_bytes())
    assert compare(verifier, again, b).score == pytest.approx(compare(verifier, a, b).score, abs=1e-5)


def test_the_labels_of_two_items_say_what_they_are(gallery: Gallery) -> None:
    a, b = of_kind(gallery, "image")
    assert truth(a, a) == "same class"
    assert truth(a, b) == "different classes"
    assert truth(a, typed("a ring")) is None


def test_what_made_the_match_is_the_librarys_explanation(verifier: Verifier, gallery: Gallery) -> None:
    a, b = of_kind(gallery, "image")[0], typed("a large ring")
    found = explain(verifier, a, b)
    library = explain_match(verifier.twin, Side(image=file_of(a)), Side(text="a large ring"), PLAIN)
    assert found.to_dict() == library.to_dict()
    np.testing.assert_array_equal(values_of(found.a, "contributions"), library.a.contributions)
    np.testing.assert_array_equal(values_of(found.a, "weights"), library.a.attention.mean)  # type: ignore[union-attr]
    np.testing.assert_allclose(values_of(found.b, "effects"), [word[2] for word in library.b.words])
    table = parts_table(found)
    assert set(table["map"]) == set(MAPS.values())
    words = table[(table["side"] == "B") & (table["map"] == "weights")]
    assert words["part"].tolist() == ["a", "large", "ring"]
    np.testing.assert_allclose(words["value"], [word[1] for word in library.b.words], rtol=1e-6)


def test_the_deletion_check_is_the_librarys(verifier: Verifier, gallery: Gallery) -> None:
    a, b = of_kind(gallery, "image")[0], typed("a large ring")
    match = explain(verifier, a, b)
    tested = check(verifier, a, b, match)
    library = check_match(verifier.twin, Side(image=file_of(a)), Side(text="a large ring"), match, PLAIN)
    assert [(each.side, each.map) for each in tested] == [(side, name) for side in "AB" for name in MAPS.values()]
    for each in tested:
        curves = library["AB".index(each.side)][each.map]
        assert each.curves is not None
        np.testing.assert_allclose(each.curves.pointed, curves.pointed, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(each.curves.random, curves.random, rtol=1e-5, atol=1e-6)
        assert each.verdict == ("holds" if curves.gap > 0 else "fails")
    assert len(deletion_table(tested)) == sum(len(each.curves.shares) for each in tested if each.curves)
    np.testing.assert_allclose(
        verdict_table(tested)["falls below chance by"], [each.curves.gap for each in tested if each.curves]
    )


def curves(pointed: list[float], random: list[float]) -> Deletion:
    return Deletion(np.linspace(0, 0.5, len(pointed)), np.array(pointed), np.array(random))


def test_a_map_that_loses_to_chance_is_called_so() -> None:
    fails = Checked("A", "weights", curves([0.9, 0.8, 0.8], [0.9, 0.4, 0.4]))
    assert fails.verdict == "fails"
    assert "Does not hold: the score falls by 0.100" in fails.sentence
    assert "falls by 0.500 when" in fails.sentence
    holds = Checked("A", "contributions", curves([0.9, 0.1, 0.1], [0.9, 0.8, 0.8]))
    assert holds.sentence.startswith("Holds: the score falls by 0.800")
    rises = Checked("A", "contributions", curves([0.1, 0.2, 0.2], [0.1, 0.5, 0.5]))
    assert rises.sentence.startswith("Beats chance only: the score rises by 0.100")


def test_a_single_word_has_no_check(verifier: Verifier) -> None:
    a, b = typed("ring"), typed("a ring")
    tested = check(verifier, a, b, explain(verifier, a, b))
    assert [each.verdict for each in tested[:3]] == ["none"] * 3
    assert "single word" in tested[0].sentence
    assert set(deletion_table(tested)["side"]) == {"B"}
    assert deletion_table(tested[:3]).empty


def test_the_token_score_is_late_interaction(verifier: Verifier, gallery: Gallery) -> None:
    a, b = of_kind(gallery, "image")
    match = explain(verifier, a, b)
    values, masks = image_tokens(verifier.twin, [file_of(a), file_of(b)], PLAIN)
    expected = late_interaction(values[0][masks[0]], values[1:], candidate_masks=masks[1:])[0]
    assert late_interaction_score(match) == pytest.approx(float(expected), abs=1e-5)
    table = link_table(match)
    assert table["similarity"].tolist() == [link.similarity for link in match.links]
    assert text_tokens(verifier.twin, ["a ring"])[0].shape[0] == 1


def test_linked_parts_have_the_same_number_where_they_lie(verifier: Verifier, gallery: Gallery) -> None:
    a, b = of_kind(gallery, "image")
    match = explain(verifier, a, b)
    left, right = linked_sides(a, b, match, verifier.twin)
    assert [mark.number for mark in left.marks] == [str(n) for n in range(1, len(match.links) + 1)]
    height, width = match.b.attention.mean.shape  # type: ignore[union-attr]
    for mark, link in zip(right.marks, match.links, strict=True):
        assert mark.x == pytest.approx((link.b % width + 0.5) / width)
        assert mark.y == pytest.approx((link.b // width + 0.5) / height)


def test_words_of_a_text_are_kept_as_they_are(verifier: Verifier, gallery: Gallery) -> None:
    a, b = of_kind(gallery, "image")[0], typed("<b>ring</b> & **box**")
    match = explain(verifier, a, b)
    side = mapped_side("B", b, match.b, "contributions", verifier.twin)
    assert [word.text for word in side.words] == [word for word, _, _ in match.b.words]
    assert max(abs(word.share) for word in side.words) == pytest.approx(1)
    assert side.picture is None


def test_a_picture_keeps_its_proportions(verifier: Verifier, tmp_path: Path) -> None:
    import io

    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 180, 3)).astype(np.uint8)).save(file, "PNG")
    a, b = uploaded(file.getvalue()), typed("a ring")
    match = explain(verifier, a, b)
    for side in (plain_side("A", a), mapped_side("A", a, match.a, "contributions", verifier.twin)):
        assert side.picture is not None
        with Image.open(io.BytesIO(side.picture)) as drawn:
            assert drawn.width / drawn.height == pytest.approx(3, rel=0.02)


def test_a_small_picture_that_scores_otherwise_is_said(verifier: Verifier, gallery: Gallery) -> None:
    a, b = of_kind(gallery, "image")
    match, answer = explain(verifier, a, b), compare(verifier, a, b)
    assert notes_on(match, answer, a, b, "cosine") == []
    other = PairItem(a.name, a.side, a.key, "image", a.id, a.label, None, small=True)
    off = compare(verifier, typed("a ring"), b)
    (note,) = notes_on(match, off, other, b, "cosine")
    assert f"{off.score:.4f}" in note
    assert "the small picture of A" in note
    (note,) = notes_on(match, answer, a, b, "head")
    assert "A trained head" in note


def test_where_nothing_is_left_to_look_at_it_is_one_line(
    verifier: Verifier, gallery: Gallery, place: Path, tmp_path: Path
) -> None:
    a, b = of_kind(gallery, "image")
    blind = PairItem(a.name, None, a.key, "image", a.id, a.label, a.vector, small=True)
    assert compare(verifier, blind, b).score == compare(verifier, a, b).score  # the embedding is enough for that
    with pytest.raises(CrossModalError, match="A: expected a picture file or a small picture"):
        explain(verifier, blind, b)
    assert plain_side("A", blind).picture is None


def test_another_gallery_changes_the_answer(place: Path, verifier: Verifier, tmp_path: Path) -> None:
    shutil.copytree(place / "shapes.gallery", tmp_path / "copy.gallery")
    gallery = Gallery.open(tmp_path / "copy.gallery")
    a, b = of_kind(gallery, "image")
    before = compare(verifier, a, b).score
    table = gallery.row([str(b.id)], gallery.columns)
    vector = table["vector"].combine_chunks()
    turned = -np.asarray(vector.flatten(), np.float32)
    import pyarrow as pa

    changed = table.set_column(
        table.column_names.index("vector"), "vector", pa.FixedSizeListArray.from_arrays(pa.array(turned), len(turned))
    )
    gallery.upsert(changed)
    new = gallery_item(gallery, str(b.id))
    assert new.key != b.key
    assert compare(verifier, a, new).score == pytest.approx(-before, abs=1e-6)
