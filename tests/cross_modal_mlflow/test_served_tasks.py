"""Each task over embeddings that are known by hand."""

from typing import Any

import numpy as np
import pytest
import torch
from toys.calibrations import calibrated

from cross_modal.errors import CrossModalError
from cross_modal.objectives.pair_head import DifferenceHead
from cross_modal.verification.pair_scorer import PairScorer
from cross_modal_mlflow.logged_support import LoggedSupport
from cross_modal_mlflow.request_embeddings import RequestEmbeddings
from cross_modal_mlflow.request_rows import RequestRows
from cross_modal_mlflow.served_params import ServedParams
from cross_modal_mlflow.served_tasks import classify, embed, request_support, search, similarities, verify
from cross_modal_mlflow.support_classifier import fit_support

NONE = [np.nan, np.nan]
X, Y, XY = [1.0, 0.0], [0.0, 1.0], [0.6, 0.8]
COSINE = PairScorer("cosine")


def request(*rows: dict[str, Any]) -> tuple[RequestRows, RequestEmbeddings]:
    """Rows with their embeddings under "i" (picture) and "t" (text)."""
    columns = {name: [row.get(name) for row in rows] for name in ("role", "label", "pair")}
    cells = RequestRows(
        [b"x" if "i" in row else None for row in rows],
        [row.get("text", "word") if "t" in row else None for row in rows],
        columns["role"],
        columns["label"],
        columns["pair"],
    )
    images, texts = (np.array([row.get(key, NONE) for row in rows], np.float32) for key in "it")
    return cells, RequestEmbeddings(images, texts)


class TestSupport:
    def test_rows_that_are_support_become_one(self) -> None:
        found = request_support(
            *request(
                {"i": X, "t": Y, "role": "support", "label": "a"},
                {"i": Y},
                {"t": Y, "text": "bee", "role": "support"},
            )
        )
        assert found is not None
        assert (list(found.image_labels), list(found.text_labels)) == (["a"], ["a", "bee"])
        assert (list(found.image_rows), list(found.text_rows)) == ([0], [0, 2])

    def test_no_support_row_is_no_support(self) -> None:
        assert request_support(*request({"i": X}, {"i": Y, "role": "query"})) is None


class TestEmbed:
    def test_every_row_has_one_whatever_its_role(self) -> None:
        table = embed(*request({"i": X, "role": "support"}, {"t": Y}, {"i": X, "t": Y}))
        assert table.columns.tolist() == ["embedding", "text_embedding", "modality", "row"]
        assert table.embedding.tolist() == [X, Y, X]
        assert table.text_embedding.tolist() == [None, None, Y]
        assert table.modality.tolist() == ["image", "text", "image"]
        assert table.row.tolist() == [0, 1, 2]


class TestClassify:
    def table(self, *queries: dict[str, Any], **params: Any) -> Any:
        rows, embeddings = request(
            {"i": X, "role": "support", "label": "x"}, {"i": Y, "role": "support", "label": "y"}, *queries
        )
        support = request_support(rows, embeddings)
        assert support is not None
        fitted = fit_support(support, method="nearest_neighbours", metric="cosine")
        return classify(rows, embeddings, fitted, ServedParams(**params))

    def test_the_nearest_class_with_its_probability_and_row(self) -> None:
        table = self.table({"i": Y}, {"t": X})
        assert table.columns.tolist() == ["label", "probability", "score", "row"]
        assert table.label.tolist() == ["y", "x"]
        assert table.row.tolist() == [2, 3]
        assert table.score.tolist() == [100.0, 100.0]
        assert table.probability.between(0.99, 1.0).all()

    def test_a_query_with_both_stands_between(self) -> None:
        assert self.table({"i": X, "t": Y}).probability.tolist() == [0.5]

    def test_a_threshold_leaves_the_label_empty_and_nothing_else(self) -> None:
        table = self.table({"i": XY}, {"i": Y}, threshold=90.0)
        assert table.label.tolist() == ["", "y"]
        assert table.score.round(3).tolist() == [80.0, 100.0]

    def test_rejection_insists_on_a_threshold(self) -> None:
        with pytest.raises(CrossModalError, match=r"params\.reject: expected params\.threshold beside it"):
            self.table({"i": X}, reject=True)
        assert self.table({"i": XY}, reject=True, threshold=90).label.tolist() == [""]


class TestSearch:
    SUPPORT = LoggedSupport(
        np.array([X, Y], np.float32), ["x", "y"], np.array([XY], np.float32), ["x"], [0, 1], [0], digest=""
    )

    def test_a_support_counts_by_the_nearer_of_picture_and_text(self) -> None:
        table = search(*request({"i": XY}, {"t": Y}), self.SUPPORT, 5, "cosine")
        assert table.columns.tolist()[:2] == ["label", "score"]
        assert table.label.tolist() == ["x", "y"]
        assert table.neighbour_rows.tolist() == [[0, 1], [1, 0]]
        assert table.neighbour_labels.tolist() == [["x", "y"], ["y", "x"]]
        assert np.allclose(table.neighbour_scores.tolist(), [[1.0, 0.8], [1.0, 0.8]])
        assert np.allclose(table.score, 1.0)

    def test_a_query_with_both_takes_the_mean(self) -> None:
        table = search(*request({"i": X, "t": Y}), self.SUPPORT, 1, "cosine")
        assert np.allclose(table.neighbour_scores.tolist(), [[0.7]])  # of XY: (0.6 + 0.8) / 2

    def test_top_bounds_the_neighbours(self) -> None:
        assert [len(row) for row in search(*request({"i": X}), self.SUPPORT, 1, "cosine").neighbour_rows] == [1]


class TestVerify:
    def rows(self) -> tuple[RequestRows, RequestEmbeddings]:
        return request({"i": X, "pair": "p"}, {"i": X, "pair": "q"}, {"i": XY, "pair": "p"}, {"i": Y, "pair": "q"})

    def test_pairs_are_compared_in_the_order_they_appear(self) -> None:
        rows = self.rows()
        table = verify(*rows, COSINE, threshold=0.5)
        assert table.columns.tolist() == ["label", "score", "probability", "threshold", "pair"]
        assert table.label.tolist() == ["same", "different"]
        assert np.allclose(table.score, [0.6, 0.0])
        assert table.pair.tolist() == ["p", "q"]
        assert verify(*rows, COSINE).label.tolist() == ["", ""]

    def test_the_models_own_threshold_and_probability_answer(self) -> None:
        table = verify(*self.rows(), COSINE, calibrated({"picture_picture": 0.55}))
        assert table.label.tolist() == ["same", "different"]
        assert table.threshold.tolist() == [0.55, 0.55]
        assert table.probability[0] > 0.5 > table.probability[1]
        asked = verify(*self.rows(), COSINE, calibrated({"picture_picture": 0.55}), threshold=0.7)
        assert (asked.label[0], asked.probability[0]) == ("different", table.probability[0])

    def test_each_comparison_has_the_threshold_that_was_learned_on_it(self) -> None:
        rows = request({"i": X, "pair": "p"}, {"i": XY, "pair": "p"}, {"i": X, "pair": "q"}, {"t": XY, "pair": "q"})
        table = verify(*rows, COSINE, calibrated({"picture_picture": 0.7, "picture_text": 0.5}))
        assert table.threshold.tolist() == [0.7, 0.5]
        assert table.label.tolist() == ["different", "same"]

    def test_a_head_scores_in_place_of_the_cosine(self) -> None:
        head = DifferenceHead(2)
        table = verify(*self.rows(), PairScorer("cosine", head))
        a, b = (torch.tensor([row]) for row in (X, XY))
        assert table.score[0] == pytest.approx(head(a, b).item())

    def test_an_item_with_both_counts_by_their_mean(self) -> None:
        both = verify(*request({"i": X, "t": Y, "pair": "p"}, {"i": X, "pair": "p"}), COSINE)
        across = verify(*request({"i": X, "pair": "p"}, {"t": XY, "pair": "p"}), COSINE)
        assert np.allclose([both.score[0], across.score[0]], [0.5**0.5, 0.6])

    def test_what_has_no_partner_is_named(self) -> None:
        with pytest.raises(CrossModalError, match=r"^pair 'p': expected two rows, found 1 \(row 0\)$"):
            verify(*request({"i": X, "pair": "p"}), COSINE)
        with pytest.raises(CrossModalError, match=r"found 3 \(row 0, 1, 2\)"):
            verify(*request(*[{"i": X, "pair": "p"}] * 3), COSINE)
        with pytest.raises(CrossModalError, match=r"^row 1: pair: expected what it shares"):
            verify(*request({"i": X, "pair": "p"}, {"i": X}), COSINE)


def test_similarities_are_those_of_the_metric() -> None:
    a, b = np.array([[3.0, 4.0]], np.float32), np.array([[3.0, 0.0], [6.0, 8.0]], np.float32)
    assert np.allclose(similarities(a, b, "cosine"), [[0.6, 1.0]])
    assert np.allclose(similarities(a, b, "euclidean"), [[-4.0, -5.0]])
