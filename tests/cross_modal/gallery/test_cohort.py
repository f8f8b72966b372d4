"""The cohort: what it keeps, and that it comes back as it was."""

import numpy as np
import pytest
from toys.identities import identities

from cross_modal.errors import CrossModalError
from cross_modal.gallery.cohort import Cohort


def test_it_comes_back_from_bytes_as_it_was() -> None:
    rows, labels = identities(5, 3)
    labels[labels == "0003"] = "Ωμέγα, the third"
    cohort = Cohort.of(rows, labels, "text", provenance={"data": "a.csv"})
    again = Cohort.from_bytes(cohort.to_bytes())
    assert np.array_equal(again.embeddings, rows)
    assert again.embeddings.dtype == np.float32
    assert again.labels.tolist() == labels.tolist()
    assert (again.kind, again.provenance) == ("text", {"data": "a.csv"})


def test_forgeries_and_rows_without_a_label_are_left_out() -> None:
    labels = np.array(["a", None, "b", "a"], object)
    cohort = Cohort.of(np.eye(4), labels, genuine=np.array([True, True, True, False]))
    assert cohort.labels.tolist() == ["a", "b"]
    assert cohort.embeddings.tolist() == np.eye(4)[[0, 2]].tolist()


def test_sizes_are_by_identity() -> None:
    cohort = Cohort.of(np.eye(3), np.array(["b", "a", "b"], object))
    assert (cohort.codes.tolist(), cohort.sizes.tolist()) == ([1, 0, 1], [1, 2])


@pytest.mark.parametrize("damage", [b"", b"no", b"\x08\0\0\0\0\0\0\0{}      "])
def test_other_bytes_are_refused_in_one_line(damage: bytes) -> None:
    with pytest.raises(CrossModalError, match=r"^g\.gallery: expected a cohort, found .+$"):
        Cohort.from_bytes(damage, "g.gallery")


def test_a_cohort_cut_short_is_refused() -> None:
    content = Cohort.of(np.eye(3), np.array(["a", "b", "c"], object)).to_bytes()
    with pytest.raises(CrossModalError, match="expected a cohort"):
        Cohort.from_bytes(content[:-5])


def test_one_identity_is_none() -> None:
    with pytest.raises(CrossModalError, match="expected at least 2 identities, found 1"):
        Cohort.of(np.eye(2), np.array(["a", "a"], object))


def test_embeddings_that_are_not_finite_are_refused() -> None:
    with pytest.raises(CrossModalError, match="not finite"):
        Cohort.of(np.array([[1.0, np.nan], [0.0, 1.0]]), np.array(["a", "b"], object))
