import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from toys.gallery_places import place_of
from toys.reference_rows import binding, names, rows, vectors

from cross_modal.errors import CrossModalError
from cross_modal.gallery.backends import milvus
from cross_modal.gallery.gallery import Gallery


@pytest.fixture
def address(tmp_path: Path) -> str:
    return place_of("milvus", tmp_path)


@pytest.fixture
def gallery(address: str) -> Iterator[Gallery]:
    with Gallery.create(address, binding()) as made:
        yield made


class TestReach:
    def test_a_server_that_does_not_answer(self, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(milvus, "_PATIENCE", 0.2)
        with pytest.raises(CrossModalError, match=r"milvus:http://127.0.0.1:1: expected Milvus to answer") as caught:
            Gallery.open("milvus:http://127.0.0.1:1")
        assert "\n" not in str(caught.value)

    def test_without_pymilvus_the_extra_is_named(self, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "pymilvus", None)
        with pytest.raises(CrossModalError, match=r'pip install "cross-modal\[milvus\]"'):
            Gallery.create(address, binding())

    def test_without_milvus_lite_a_file_cannot_be_opened(self, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "milvus_lite", None)
        with pytest.raises(
            CrossModalError, match="expected milvus-lite for a file, found none: pip install milvus-lite"
        ):
            Gallery.create(address, binding())

    def test_a_file_that_is_not_there(self, address: str, tmp_path: Path) -> None:
        with pytest.raises(CrossModalError, match="found no such file"):
            Gallery.open(address)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("location", ["milvus:", "milvus:#shoes", "milvus:refs.db#a-b", "milvus:refs.db#1"])
    def test_an_address_that_is_none(self, location: str) -> None:
        with pytest.raises(CrossModalError, match="expected milvus:ADDRESS or milvus:ADDRESS#COLLECTION"):
            Gallery.open(location)

    def test_another_process_is_refused_in_one_line(self, gallery: Gallery) -> None:
        program = (
            "import sys\n"
            "from cross_modal.gallery.gallery import Gallery\n"
            "from cross_modal.errors import CrossModalError\n"
            "try: Gallery.open(sys.argv[1])\n"
            "except CrossModalError as error: print(error)\n"
        )
        command = [sys.executable, "-c", program, gallery.location]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=120,
            env=os.environ | {"PYTHONPATH": ":".join(sys.path)},
        )
        assert "another process has it open" in done.stdout
        assert done.stdout.count("\n") == 1

    def test_a_collection_that_is_no_gallery(self, gallery: Gallery) -> None:
        with pytest.raises(CrossModalError, match="expected a gallery's collection 'hats', found none"):
            Gallery.open(gallery.location.replace("#shoes", "#hats"))


class TestVersions:
    def test_there_are_none_to_open_or_to_name(self, gallery: Gallery) -> None:
        with pytest.raises(CrossModalError, match=r"expected no version \(Milvus keeps none\), found 3"):
            Gallery.open(gallery.location, 3)
        with pytest.raises(CrossModalError, match="to tag a version of, found Milvus"):
            gallery.tag("x")


class TestCollections:
    def test_of_one_address_are_galleries_of_their_own(self, gallery: Gallery) -> None:
        gallery.upsert(rows(["a"]))
        with Gallery.create(gallery.location.replace("#shoes", "#hats"), binding()) as other:
            assert len(other) == 0
            other.upsert(rows(names(3)))
        assert len(gallery) == 1


class TestSearch:
    def test_more_than_milvus_gives_is_searched_in_memory(
        self, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gallery.upsert(rows(names(12)))
        before = gallery.search(vectors(1), 5)
        monkeypatch.setattr(milvus, "_MOST", 10)
        after = gallery.search(vectors(1), 5)
        assert after.ids.tolist() == before.ids.tolist()
        assert np.allclose(after.scores, before.scores, atol=1e-6)
