"""What does not depend on where rows live; the rest is in backends/test_conformance.py."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from toys.reference_rows import binding, names, rows, vectors

from cross_modal.errors import CrossModalError
from cross_modal.gallery.gallery import Gallery


@pytest.fixture
def gallery() -> Gallery:
    made = Gallery.create("memory", binding())
    made.upsert(rows(names(20)))
    return made


class TestLocation:
    def test_nothing(self) -> None:
        with pytest.raises(CrossModalError, match="expected a folder, memory:NAME or milvus:ADDRESS, found nothing"):
            Gallery.open("")

    def test_memory_that_nobody_made(self) -> None:
        with pytest.raises(CrossModalError, match="expected one that this process made by that name"):
            Gallery.open("memory:nobody")

    def test_plain_memory_is_new_each_time(self, gallery: Gallery) -> None:
        assert len(Gallery.create("memory", binding())) == 0

    def test_a_path_may_be_a_path(self, tmp_path: Path) -> None:
        with Gallery.create(tmp_path / "a" / "b.gallery", binding()) as made:
            assert made.location == str(tmp_path / "a" / "b.gallery")


class TestMemoryVersions:
    def test_tagged_ones_stay(self, tmp_path: Path) -> None:
        made = Gallery.create(f"memory:{tmp_path}", binding())
        made.upsert(rows(names(3)))
        made.tag("three")
        made.upsert(rows(names(5)))
        old = Gallery.open(f"memory:{tmp_path}", "three")
        assert (len(old), len(made)) == (3, 5)
        assert [(facts.rows, facts.tags) for facts in made.versions()] == [(3, ("three",)), (5, ())]
        with pytest.raises(CrossModalError, match="expected its last version to write to"):
            old.upsert(rows(["x"]))
        with pytest.raises(CrossModalError, match="or a tag, found 'four'"):
            Gallery.open(f"memory:{tmp_path}", "four")


class TestMatrix:
    def test_is_read_once_a_version(self, gallery: Gallery) -> None:
        assert gallery.matrix() is gallery.matrix()
        before = gallery.matrix()
        gallery.delete(["r1"])
        assert gallery.matrix() is not before


class TestParquet:
    def test_another_tool_reads_it(self, gallery: Gallery, tmp_path: Path) -> None:
        table = pq.read_table(gallery.export(tmp_path / "refs.parquet"))
        assert table.num_rows == 20
        assert table["id"].to_pylist() == sorted(names(20))

    def test_an_empty_gallery(self, tmp_path: Path) -> None:
        path = Gallery.create("memory", binding()).export(tmp_path / "refs.parquet")
        assert len(Gallery.from_parquet(path, "memory")) == 0

    def test_a_file_of_another_kind(self, tmp_path: Path) -> None:
        path = tmp_path / "refs.parquet"
        path.write_text("not at all")
        with pytest.raises(CrossModalError, match=r"refs.parquet: expected a Parquet file, found"):
            Gallery.from_parquet(path, "memory")
        with pytest.raises(CrossModalError, match=r"none.parquet: expected a Parquet file, found"):
            Gallery.from_parquet(tmp_path / "none.parquet", "memory")

    def test_a_parquet_file_of_somebody_else(self, tmp_path: Path) -> None:
        pq.write_table(pa.table({"id": ["a"]}), tmp_path / "theirs.parquet")
        with pytest.raises(CrossModalError, match="expected a Parquet file that a gallery exported, found another"):
            Gallery.from_parquet(tmp_path / "theirs.parquet", "memory")

    def test_into_another_models_gallery(self, gallery: Gallery, tmp_path: Path) -> None:
        path = gallery.export(tmp_path / "refs.parquet")
        Gallery.create(f"memory:{tmp_path}", binding(digest="ffff" * 16))
        with pytest.raises(CrossModalError, match="expected the model that made it"):
            Gallery.from_parquet(path, f"memory:{tmp_path}")

    def test_a_folder_that_is_not_there(self, gallery: Gallery, tmp_path: Path) -> None:
        with pytest.raises(CrossModalError, match="expected a file to write to, found No such file"):
            gallery.export(tmp_path / "nowhere" / "refs.parquet")

    def test_a_failed_export_leaves_the_file_before(
        self, gallery: Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = gallery.export(tmp_path / "refs.parquet")
        before = path.read_bytes()

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
        with pytest.raises(CrossModalError, match="found No space left on device"):
            gallery.export(path)
        assert path.read_bytes() == before
        assert [each.name for each in tmp_path.iterdir()] == ["refs.parquet"]


class TestEuclidean:
    def test_scores_are_minus_distances(self) -> None:
        made = Gallery.create("memory", binding("euclidean"))
        made.upsert(rows(names(5), metric="euclidean"))
        stored = vectors(5, metric="euclidean")
        assert made.search(stored[2], 1).scores.tolist() == [[0.0]]
        assert made.search(np.zeros((1, 6)), 5).scores.min() == pytest.approx(-np.linalg.norm(stored, axis=1).max())
