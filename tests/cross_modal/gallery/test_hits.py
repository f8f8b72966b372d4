import numpy as np

from cross_modal.gallery.hits import Hits


def hits(rows: list[list[int]], scores: list[list[float]]) -> Hits:
    places = np.array(rows, np.int64)
    ids = np.array([*(f"r{row}" for row in range(9)), None], object)[places]
    return Hits(ids, np.array(scores, np.float32), True, None, 0.0, lambda: places)


LABELS = ["a", "b", "a", None, "c"]


def test_rows_are_looked_up_when_first_asked_for() -> None:
    asked = []
    found = Hits(
        np.full((1, 1), None, object), np.zeros((1, 1)), True, None, 0.0, lambda: asked.append(1) or np.zeros(1)
    )
    assert asked == []
    assert found.rows is found.rows
    assert asked == [1]


def test_each_class_by_its_best_hit_and_rows_without_a_label_by_none() -> None:
    grouped = hits([[3, 2, 0, 4, 1], [1, 4, 0, -1, -1]], [[5, 4, 3, 2, 1], [3, 2, 1, -np.inf, -np.inf]]).grouped(
        LABELS, 3
    )
    assert grouped.rows.tolist() == [[2, 4, 1], [1, 4, 0]]
    assert grouped.ids.tolist() == [["r2", "r4", "r1"], ["r1", "r4", "r0"]]
    assert grouped.scores.tolist() == [[4, 2, 1], [3, 2, 1]]
    assert len(grouped) == 2


def test_fewer_classes_than_asked_for_leave_places_empty() -> None:
    grouped = hits([[0, 2]], [[2, 1]]).grouped(LABELS, 2)
    assert grouped.rows.tolist() == [[0, -1]]
    assert grouped.ids.tolist() == [["r0", None]]
    assert grouped.scores.tolist() == [[2, -np.inf]]


def test_the_first_classes_only() -> None:
    assert hits([[0, 1, 4]], [[3, 2, 1]]).grouped(LABELS, 1).ids.tolist() == [["r0"]]
