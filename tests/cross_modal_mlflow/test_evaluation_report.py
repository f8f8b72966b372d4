"""The tables of an evaluation: what is hardest stands on top."""

import numpy as np
from toys.colours import picture

from cross_modal.data.items import Items
from cross_modal.verification.measurement import VerificationResult
from cross_modal_mlflow.evaluation_report import HARDEST_PAIRS, metric_table, pair_columns
from cross_modal_mlflow.few_shot_measures import FewShotResult
from cross_modal_mlflow.pair_table import ItemPairs


def _result(scores: list[float], same: list[bool]) -> FewShotResult:
    count = len(scores)
    pairs = ItemPairs(np.arange(count), np.arange(count)[::-1], np.array(same))
    return FewShotResult(pairs=pairs, verification=VerificationResult({}, np.array(scores), np.array(same)))


def test_intervals_stand_beside_their_metrics() -> None:
    table = metric_table({"a/accuracy": 0.5, "a/accuracy/ci95": 0.1, "verification/pairs": 9.0})
    assert table["metric"] == ["a/accuracy", "verification/pairs"]
    assert table["± 95 %"] == [0.1, None]


def test_the_pairs_on_the_wrong_side_by_most_come_first_in_turns() -> None:
    items = Items.of(texts=list("abcdef"))
    columns = pair_columns(items, _result([0.9, 0.1, 0.5, 0.8, 0.2, 0.4], [True] * 3 + [False] * 3))
    assert columns["score"] == [0.1, 0.8, 0.5, 0.4, 0.9, 0.2]
    assert columns["same"] == [True, False] * 3
    assert (columns["a"][0], columns["b"][0]) == ("b", "e")
    assert "a_looks" not in columns


def test_pictures_are_shown_and_there_are_not_too_many_rows() -> None:
    count = 3 * HARDEST_PAIRS
    items = Items.of(images=[picture("red", number) for number in range(count - 1)] + [None], labels=["red"] * count)
    columns = pair_columns(items, _result(list(np.linspace(0, 1, count)), [number % 2 == 0 for number in range(count)]))
    assert {len(cells) for cells in columns.values()} == {HARDEST_PAIRS}
    assert all(cell.to_array().shape[2] == 3 for cell in columns["a_looks"])
