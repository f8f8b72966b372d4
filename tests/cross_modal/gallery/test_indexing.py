"""Indexing: everything once, what is known never again, and nothing lost when it is killed."""

import io
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from toys.shapes import shapes
from toys.tiny_twin import tiny_twin
from toys.toy_gallery import PLAIN

from cross_modal.data.items import Items
from cross_modal.embed_items import open_pictures
from cross_modal.encoders.embedding import embed_images, embed_texts
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError
from cross_modal.gallery.binding import Binding
from cross_modal.gallery.gallery import Gallery
from cross_modal.gallery.indexing import IndexConfig, index_items


@pytest.fixture
def twin() -> TwinEncoder:
    return tiny_twin()


@pytest.fixture
def gallery(twin: TwinEncoder) -> Gallery:
    return Gallery.create("memory", Binding.of(twin))


def files(folder: Path, count: int = 6) -> Items:
    """Pictures of noise as files, three classes."""
    folder.mkdir(exist_ok=True)
    random = np.random.default_rng(0)
    for number in range(count):
        Image.fromarray(random.integers(0, 256, (16, 16), np.uint8)).save(folder / f"{number}.png")
    names = [str(folder / f"{number}.png") for number in range(count)]
    labels = [f"class {number % 3}" for number in range(count)]
    return Items.of(images=names, labels=labels, splits=["test"] * count, source=str(folder / "items.csv"))


def test_what_is_stored_is_what_the_twin_gives(gallery: Gallery, twin: TwinEncoder) -> None:
    items = shapes(2)
    index_items(gallery, twin, items, IndexConfig(of="each", batch=5, commit=7), PLAIN)
    matrix = gallery.matrix()
    pictures = embed_images(twin, open_pictures(items, twin, PLAIN), np.arange(len(items)))
    stored = matrix.vectors[matrix.column("kind") == "image"]
    nearest = (pictures @ stored.T).max(1)
    assert nearest == pytest.approx(np.ones(len(items)), abs=1e-5)
    names = sorted(set(items.texts))
    texts = {row["text"]: row["id"] for row in matrix.facts.to_pylist() if row["kind"] == "text"}
    for name, embedding in zip(names, embed_texts(twin, names), strict=True):
        assert matrix.vector(texts[name]) == pytest.approx(embedding, abs=1e-5)


def test_facts_stand_beside_the_embeddings(gallery: Gallery, twin: TwinEncoder, tmp_path: Path) -> None:
    items = files(tmp_path / "in")
    index_items(gallery, twin, items, IndexConfig(), PLAIN, facts={"price": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]})
    row = gallery.row(["3.png"]).to_pylist()[0]
    assert (row["label"], row["split"], row["image"], row["price"]) == ("class 0", "test", items.images[3], 4.0)
    assert row["genuine"] is True


def test_again_encodes_nothing(gallery: Gallery, twin: TwinEncoder, tmp_path: Path) -> None:
    items = files(tmp_path / "in")
    first = index_items(gallery, twin, items, IndexConfig(), PLAIN)
    again = index_items(gallery, twin, items, IndexConfig(), PLAIN)
    assert (first.added, first.encoded) == (6, 6)
    assert (again.added, again.changed, again.unchanged, again.encoded) == (0, 0, 6, 0)


def test_a_changed_file_is_encoded_again_under_its_name(gallery: Gallery, twin: TwinEncoder, tmp_path: Path) -> None:
    items = files(tmp_path / "in")
    index_items(gallery, twin, items, IndexConfig(), PLAIN)
    before = gallery.matrix().vector("2.png").copy()
    Image.new("L", (16, 16), 200).save(tmp_path / "in" / "2.png")
    result = index_items(gallery, twin, items, IndexConfig(), PLAIN)
    assert (result.added, result.changed, result.unchanged, result.encoded) == (0, 1, 5, 1)
    assert not np.allclose(gallery.matrix().vector("2.png"), before)
    assert len(gallery) == 6


def test_a_moved_file_keeps_its_embedding_and_a_mended_label_too(
    gallery: Gallery, twin: TwinEncoder, tmp_path: Path
) -> None:
    items = files(tmp_path / "in")
    index_items(gallery, twin, items, IndexConfig(), PLAIN)
    (tmp_path / "in" / "5.png").rename(tmp_path / "in" / "five.png")
    moved = Items.of(
        images=[*items.images[:5], str(tmp_path / "in" / "five.png")],
        labels=["mended", *items.labels[1:]],  # type: ignore[index]
        splits=items.splits,
        source=items.source,
    )
    result = index_items(gallery, twin, moved, IndexConfig(prune=True), PLAIN)
    assert (result.added, result.changed, result.unchanged, result.removed, result.encoded) == (1, 1, 4, 1, 0)
    assert gallery.row(["0.png"])["label"].to_pylist() == ["mended"]
    assert gallery.thumbnails(["five.png"])[0]
    assert "5.png" not in gallery.contents()


def test_pruning_leaves_other_sources_alone(gallery: Gallery, twin: TwinEncoder, tmp_path: Path) -> None:
    index_items(gallery, twin, files(tmp_path / "one"), IndexConfig(), PLAIN)
    other = Items.of(texts=["a cat"], labels=["cat"], source="other.csv")
    index_items(gallery, twin, other, IndexConfig(prune=True), PLAIN)
    assert len(gallery) == 7


def test_equal_pictures_are_encoded_once(gallery: Gallery, twin: TwinEncoder, tmp_path: Path) -> None:
    items = files(tmp_path / "in", 3)
    for number in (1, 2):
        (tmp_path / "in" / f"{number}.png").write_bytes((tmp_path / "in" / "0.png").read_bytes())
    result = index_items(gallery, twin, items, IndexConfig(commit=2), PLAIN)
    assert (result.added, result.encoded) == (3, 1)


def test_files_that_swap_their_names_swap_their_embeddings_too(
    gallery: Gallery, twin: TwinEncoder, tmp_path: Path
) -> None:
    items = files(tmp_path / "in")
    index_items(gallery, twin, items, IndexConfig(), PLAIN)
    before = {name: gallery.matrix().vector(name).copy() for name in ("0.png", "1.png", "4.png")}
    (tmp_path / "in" / "0.png").rename(tmp_path / "in" / "kept.png")
    (tmp_path / "in" / "1.png").rename(tmp_path / "in" / "0.png")
    (tmp_path / "in" / "kept.png").rename(tmp_path / "in" / "1.png")
    result = index_items(gallery, twin, items, IndexConfig(commit=1), PLAIN)
    assert (result.changed, result.encoded) == (2, 0)
    after = gallery.matrix()
    assert np.array_equal(after.vector("0.png"), before["1.png"])
    assert np.array_equal(after.vector("1.png"), before["0.png"])
    assert np.array_equal(after.vector("4.png"), before["4.png"])


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=6), min_size=2, max_size=3), st.integers(1, 3))
def test_whatever_the_history_every_row_holds_the_embedding_of_its_content(
    twin: TwinEncoder, history: list[list[int]], commit: int
) -> None:
    """Each run gives files 0, 1, … the contents of a list; several may be equal, and any may move."""
    gallery = Gallery.create("memory", Binding.of(twin))
    pictures = [np.full((16, 16), 60 * level, np.uint8) + np.eye(16, dtype=np.uint8) * level for level in range(4)]
    known: set[int] = set()
    for contents in history:
        items = Items.of(images=[pictures[content] for content in contents], source="memory")
        names = [f"file {number}" for number in range(len(contents))]
        fresh = set(contents) - known
        result = index_items(gallery, twin, items, IndexConfig(commit=commit, prune=True), PLAIN, ids=names)
        assert result.encoded == len(fresh)
        expected = embed_images(twin, open_pictures(items, twin, PLAIN), np.arange(len(contents)))
        assert gallery.matrix().ids.tolist() == names
        assert np.abs(gallery.matrix().vectors - expected).max() < 1e-5
        known = set(contents)


def test_a_picture_is_kept_small_in_its_own_proportions(gallery: Gallery, twin: TwinEncoder) -> None:
    wide = np.zeros((60, 200), np.uint8)
    wide[:, 100:] = 255
    index_items(gallery, twin, Items.of(images=[wide], labels=["a"]), IndexConfig(thumbnail=80), PLAIN)
    small = gallery.thumbnails([str(gallery.matrix().ids[0])])[0]
    assert small is not None
    with Image.open(io.BytesIO(small)) as picture:
        assert (picture.format, picture.size) == ("WEBP", (80, 24))
        levels = np.asarray(picture.convert("L"), int)
    assert levels[:, :30].max() < 40
    assert levels[:, 50:].min() > 215


def test_without_thumbnails_where_none_are_wanted(gallery: Gallery, twin: TwinEncoder) -> None:
    index_items(gallery, twin, shapes(1), IndexConfig(thumbnail=0), PLAIN)
    assert set(gallery.thumbnails(gallery.matrix().ids.tolist())) == {None}


def test_threads_that_read_ahead_change_nothing(twin: TwinEncoder) -> None:
    items, vectors = shapes(3), {}
    for workers in (0, 3):
        gallery = Gallery.create("memory", Binding.of(twin))
        index_items(gallery, twin, items, IndexConfig(batch=7, commit=10), replace(PLAIN, workers=workers))
        vectors[workers] = gallery.matrix().vectors
    assert np.array_equal(vectors[0], vectors[3])


def test_a_picture_that_cannot_be_decoded_is_named_and_what_was_written_before_stays(
    gallery: Gallery, twin: TwinEncoder, tmp_path: Path
) -> None:
    items = files(tmp_path / "in")
    broken = tmp_path / "in" / "4.png"
    broken.write_bytes(broken.read_bytes()[:60])
    with pytest.raises(CrossModalError, match=r"items\.csv row 5: image '.*4\.png' cannot be decoded"):
        index_items(gallery, twin, items, IndexConfig(batch=1, commit=2), PLAIN)
    assert len(gallery) == 4


def test_a_part_of_a_source_prunes_what_all_of_it_has_lost(gallery: Gallery, twin: TwinEncoder, tmp_path: Path) -> None:
    items = files(tmp_path / "in")
    index_items(gallery, twin, items, IndexConfig(), PLAIN)
    part, present = items.take([0, 1]), ["0.png", "1.png", "2.png", "3.png"]
    result = index_items(gallery, twin, part, IndexConfig(prune=True), PLAIN, present=present)
    assert result.removed == 2
    assert gallery.matrix().ids.tolist() == present


def test_other_pictures_of_another_source_do_not_take_a_rows_place_unasked(
    gallery: Gallery, twin: TwinEncoder, tmp_path: Path
) -> None:
    index_items(gallery, twin, files(tmp_path / "one"), IndexConfig(), PLAIN)
    other = files(tmp_path / "two")
    Image.new("L", (16, 16), 9).save(tmp_path / "two" / "3.png")
    with pytest.raises(CrossModalError, match=r"found 1 of other pictures of .*one.*'3\.png' is one.*--prefix NAME/"):
        index_items(gallery, twin, other, IndexConfig(), PLAIN)
    assert len(gallery) == 6
    beside = index_items(gallery, twin, other, IndexConfig(prefix="two/"), PLAIN)
    assert (beside.added, beside.encoded) == (6, 1)
    over = index_items(gallery, twin, other, IndexConfig(replace=True), PLAIN)
    assert (over.changed, over.encoded, len(gallery)) == (6, 0, 12)


def test_a_folder_that_moved_is_the_same_data(gallery: Gallery, twin: TwinEncoder, tmp_path: Path) -> None:
    index_items(gallery, twin, files(tmp_path / "one"), IndexConfig(), PLAIN)
    (tmp_path / "one").rename(tmp_path / "two")
    result = index_items(gallery, twin, files(tmp_path / "two"), IndexConfig(), PLAIN)
    assert (result.changed, result.encoded) == (6, 0)
    assert gallery.row(["0.png"])["image"].to_pylist() == [str(tmp_path / "two" / "0.png")]


def test_the_twins_mode_is_restored(gallery: Gallery, twin: TwinEncoder) -> None:
    twin.train()
    index_items(gallery, twin, shapes(1), IndexConfig(), PLAIN)
    assert twin.training


def test_progress_counts_every_row_once_and_ends_at_the_total(gallery: Gallery, twin: TwinEncoder) -> None:
    seen: list[tuple[int, int]] = []
    items = shapes(3)
    index_items(gallery, twin, items, IndexConfig(batch=4, commit=10), PLAIN, lambda *each: seen.append(each))
    done = [each for each, _ in seen]
    assert done == sorted(done)
    assert seen[-1] == (len(items), len(items))


def test_another_models_gallery_is_refused(gallery: Gallery) -> None:
    with pytest.raises(CrossModalError, match="expected the model that made it"):
        index_items(gallery, tiny_twin(seed=1), shapes(2), IndexConfig(), PLAIN)


@pytest.mark.parametrize("name", ["batch", "commit"])
def test_sizes_that_mean_nothing_are_refused(gallery: Gallery, twin: TwinEncoder, name: str) -> None:
    with pytest.raises(CrossModalError, match=f"--{name}: expected at least 1, found 0"):
        index_items(gallery, twin, shapes(2), IndexConfig(**{name: 0}), PLAIN)  # type: ignore[arg-type]


CHILD = """
import os, signal, sys
from toys.toy_gallery import PLAIN
from toys.tiny_twin import tiny_twin
from cross_modal.data.sources import read_items
from cross_modal.gallery.binding import Binding
from cross_modal.gallery.gallery import Gallery
from cross_modal.gallery.indexing import IndexConfig, index_items

def die_in_the_middle(done, total):
    if done > 100:
        os.kill(os.getpid(), signal.SIGKILL)

twin = tiny_twin()
gallery = Gallery.create(sys.argv[2], Binding.of(twin))
items = read_items(sys.argv[1])
index_items(gallery, twin, items, IndexConfig(commit=16, batch=8), PLAIN, die_in_the_middle)
"""


@pytest.mark.slow
def test_a_killed_run_goes_on_and_encodes_nothing_twice(tmp_path: Path, twin: TwinEncoder) -> None:
    count, commit = 200, 16
    items = files(tmp_path / "in", count)
    rows = [f"{number}.png,class {number % 3},test" for number in range(count)]
    (tmp_path / "in" / "items.csv").write_text("\n".join(["image,label,split", *rows]) + "\n")
    where = tmp_path / "refs.gallery"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    words = [sys.executable, "-c", CHILD, str(tmp_path / "in" / "items.csv"), str(where)]
    assert subprocess.run(words, env=environment, check=False).returncode == -signal.SIGKILL
    with Gallery.open(where) as gallery:
        before = len(gallery)
        assert before == 100 // commit * commit  # what was in flight is lost, nothing else
        result = index_items(gallery, twin, items, IndexConfig(), PLAIN)
        assert (result.unchanged, result.added, result.encoded) == (before, count - before, count - before)
        assert len(gallery) == count
