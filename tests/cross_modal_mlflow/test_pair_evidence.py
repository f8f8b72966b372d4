"""What a run on pairs shows: the pairs that the threshold is least sure of come first."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from cross_modal.data.items import Items, column
from cross_modal.data.pairs import Pairs
from cross_modal.verification.bootstrap import Owners
from cross_modal_mlflow.pair_evidence import log_pair_evidence, pair_columns, shown_pair
from cross_modal_mlflow.pair_measurement import PairMeasures, ScoredPairs

SCORES, SAME = np.array([0.9, 0.45, 0.6, 0.1]), np.array([True, True, False, False])
PAIRS = Pairs(
    items=Items.of(images=[np.zeros((8, 8), np.uint8), None, "folder/b.png"], texts=[None, "a cat", None]),
    a=np.array([0, 1, 2, 1]),
    b=np.array([1, 2, 0, 0]),
    same=SAME,
    score=None,
    splits=column(["test"] * 4),
    rows=np.array([3, 5, 7, 9]),
    source="pairs.csv",
)
SCORED = ScoredPairs(SCORES, np.full(4, "mixed", object), Owners(PAIRS.a, PAIRS.b), SAME, None, PAIRS)
MEASURES = PairMeasures({"verification/ece": 0.1}, [], SCORES, 0.5, np.array([0.9, 0.4, 0.6, 0.1]))


@dataclass
class Kept:
    """A run that keeps what it is given."""

    figures: list[str] = field(default_factory=list)
    tables: dict[str, dict[str, list[Any]]] = field(default_factory=dict)

    def figure(self, figure: object, name: str) -> None:
        self.figures.append(name)

    def table(self, columns: dict[str, list[Any]], name: str) -> None:
        self.tables[name] = columns


def kept(scored: ScoredPairs, measures: PairMeasures) -> Kept:
    run = Kept()
    log_pair_evidence(run, scored, measures)  # type: ignore[arg-type]
    return run


def test_a_calibrated_measurement_has_all_figures_and_the_nearest_pairs_first() -> None:
    run = kept(SCORED, MEASURES)
    assert run.figures == [f"verification/{n}.png" for n in ("curves", "reliability", "nearest_the_threshold")]
    (columns,) = run.tables.values()
    assert columns["row"] == [5, 7, 3, 9]
    assert columns["score"] == [0.45, 0.6, 0.9, 0.1]
    assert columns["same"] == [True, False, True, False]


def test_a_pair_that_comes_again_the_other_way_round_is_shown_once() -> None:
    again = replace(PAIRS, b=np.array([1, 2, 0, 0]), a=np.array([0, 1, 2, 1]), same=np.array([True, True, False, True]))
    (columns,) = kept(replace(SCORED, pairs=again, same=again.same), MEASURES).tables.values()
    assert columns["row"] == [5, 7, 3]


def test_without_a_threshold_there_are_curves_only() -> None:
    run = kept(SCORED, replace(MEASURES, threshold=None, probabilities=None))
    assert (run.figures, run.tables) == (["verification/curves.png"], {})


@pytest.mark.parametrize("same", [None, np.ones(4, bool)])
def test_graded_pairs_and_pairs_of_one_verdict_have_none(same: np.ndarray | None) -> None:
    assert kept(replace(SCORED, same=same), MEASURES).figures == []


def test_a_pair_shows_its_picture_or_its_words() -> None:
    shown = shown_pair(SCORED, 0)
    assert shown.pictures[0] is not None
    assert (shown.pictures[1], shown.captions[1]) == (None, "a cat")
    assert (shown.score, shown.same) == (0.9, True)
    assert shown_pair(SCORED, 1).captions == ("a cat", "b.png")
    assert pair_columns(SCORED, np.array([3]), SCORES)["b"] == ["memory item 1"]
