"""The pairs of a stream nearest to the threshold are those that sorting all of them would give."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cross_modal_mlflow.nearest_pairs import NearestPairs


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-1000, 1000), max_size=60, unique_by=abs), st.integers(1, 12))
def test_they_are_the_first_of_all_sorted(aboves: list[int], most: int) -> None:
    nearest = NearestPairs(most)
    for row, above in enumerate(aboves, 1):
        nearest.add(row, ((None, f"a {row}"), (None, "b")), above / 1000, bool(row % 2), 0.5, "text_text")
    scored, probabilities = nearest.scored(0.25, "pairs.csv")
    wanted = sorted(range(1, len(aboves) + 1), key=lambda row: abs(aboves[row - 1]))[:most]
    assert scored.pairs is not None
    assert sorted(scored.pairs.rows.tolist()) == sorted(wanted)
    assert len(probabilities) == len(nearest) == len(wanted)
    for row, score in zip(scored.pairs.rows.tolist(), scored.scores.tolist(), strict=True):
        assert np.isclose(score, 0.25 + aboves[row - 1] / 1000)


def test_a_pair_and_its_mirror_image_are_one_unless_their_verdicts_differ() -> None:
    nearest = NearestPairs()
    one, other = (None, "one"), ("other.png", None)
    for row, (sides, same) in enumerate([((one, other), True), ((other, one), True), ((one, other), False)], 1):
        nearest.add(row, sides, 0.1, same, 0.5, "picture_text")
    scored, _ = nearest.scored(0.5, "pairs.csv")
    assert scored.pairs is not None
    assert scored.pairs.rows.tolist() == [1, 3]
    assert scored.pairs.items.texts.tolist() == ["one", None, "one", None]
