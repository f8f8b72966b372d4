"""The verification bench: every number again, counted by hand or asked of the library in another way."""

import numpy as np
import pandas as pd
import pytest
from toys.scored_pairs import pairs_of_people
from toys.shapes import shapes
from toys.toy_gallery import memory_gallery

from cross_modal.errors import CrossModalError
from cross_modal.verification.calibrate import calibrate
from cross_modal.verification.saved_calibration import SavedCalibration, resamples_for
from cross_modal_dashboards.verification_bench import (
    COLUMNS,
    FALSE_ACCEPTS,
    FALSE_REJECTS,
    Bench,
    bench_of,
    comparisons_of,
    sides,
    usual_threshold,
)

SCORES, SAME, OWNERS = pairs_of_people(12, 20, seed=3)


def table(kind: str = "picture_picture") -> pd.DataFrame:
    ids = [f"item {number}" for number in range(len(SCORES))]
    owners = [[f"person {owner}" for owner in side] for side in (OWNERS.a, OWNERS.b)]
    columns = dict(zip(COLUMNS, (kind, ids, ids[::-1], SCORES, SAME, *owners), strict=True))
    return pd.DataFrame(columns)


BENCH = Bench(table())


@pytest.mark.parametrize("threshold", [-1.0, 0.0, 1.25, 3.0, 99.0])
def test_rates_and_counts_are_those_counted_by_hand(threshold: float) -> None:
    found = BENCH.at(threshold)
    passed, refused = SCORES[~SAME] >= threshold, SCORES[SAME] < threshold
    assert (found.false_accepts, found.false_rejects) == (passed.sum(), refused.sum())
    assert found.false_accept.value == pytest.approx(passed.mean())
    assert found.false_reject.value == pytest.approx(refused.mean())
    assert found.accuracy.value == pytest.approx(1 - (passed.mean() + refused.mean()) / 2)
    for estimate in (found.false_accept, found.false_reject, found.accuracy):
        assert estimate.low <= estimate.value <= estimate.high


def test_intervals_are_those_of_a_calibration_on_the_same_pairs() -> None:
    learned = calibrate(SCORES, SAME, BENCH.owners, false_accept_rate=0.1, resamples=resamples_for(len(SCORES)))
    found = BENCH.at(learned.threshold)
    assert (found.false_accept, found.false_reject) == (
        learned.points["chosen"].false_accept, learned.points["chosen"].false_reject
    )  # fmt: skip
    assert BENCH.whole["eer"] == learned.eer
    assert BENCH.whole["auc"] == learned.auc


@pytest.mark.parametrize("count", [2, 10, 100])
def test_one_in_so_many_is_kept_and_the_next_score_below_would_break_it(count: int) -> None:
    threshold, strangers = BENCH.one_in(count), np.sort(SCORES[~SAME])[::-1]
    allowed = len(strangers) // count
    assert (strangers >= threshold).sum() == allowed
    assert strangers[allowed] < threshold


def test_more_than_the_pairs_can_show_accepts_no_stranger_and_says_so() -> None:
    assert BENCH.at(BENCH.one_in(10_000)).false_accepts == 0
    assert not BENCH.can_show(10_000)
    assert BENCH.can_show(240)
    with pytest.raises(CrossModalError, match="at least 2"):
        BENCH.one_in(1)


def test_curves_run_from_nothing_accepted_to_everything_and_are_finite() -> None:
    roc, det = BENCH.roc(), BENCH.det()
    assert roc[["false_accepts", "true_accepts"]].iloc[[0, -1]].to_numpy().tolist() == [[0, 0], [1, 1]]
    area = np.trapezoid(roc["true_accepts"], roc["false_accepts"])
    wins = (SCORES[SAME][:, None] > SCORES[~SAME]).mean() + (SCORES[SAME][:, None] == SCORES[~SAME]).mean() / 2
    assert area == pytest.approx(wins, abs=1e-3)
    for curve in (roc, det):
        assert np.isfinite(curve.to_numpy()).all()
    middle = det.iloc[len(det) // 2]
    assert middle["false_accepts"] == pytest.approx((SCORES[~SAME] >= middle["threshold"]).mean())


def test_histograms_hold_every_pair() -> None:
    found = BENCH.histogram().groupby("verdict")
    assert found["pairs"].sum().to_dict() == {"same": SAME.sum(), "different": (~SAME).sum()}
    assert found["share"].sum().to_numpy() == pytest.approx([1, 1])


def test_nearest_pairs_are_in_order_and_carry_what_was_decided() -> None:
    found = BENCH.nearest(1.0, 10)
    gaps = np.abs(found["score"] - 1.0).to_numpy()
    assert gaps.tolist() == np.sort(np.abs(SCORES - 1.0))[:10].tolist()
    assert ((found["decision"] == "same") == (found["score"] >= 1.0)).all()
    assert (found["right"] == ((found["score"] >= 1.0) == found["same"])).all()


def test_only_one_kind_of_error_can_be_shown() -> None:
    wrong = BENCH.nearest(1.0, 1000, FALSE_ACCEPTS)
    assert len(wrong) == BENCH.at(1.0).false_accepts
    assert not wrong["same"].any()
    missed = BENCH.nearest(1.0, 1000, FALSE_REJECTS)
    assert len(missed) == BENCH.at(1.0).false_rejects
    assert missed["same"].all()


def test_the_slider_reaches_past_every_score() -> None:
    low, high, step = BENCH.range()
    assert low < SCORES.min()
    assert high > SCORES.max()
    assert (high - low) / step >= 200


def test_comparisons_without_both_verdicts_are_left_out() -> None:
    whole = pd.concat([table(), table("picture_text"), table("text_text")[SAME]])
    assert comparisons_of(whole) == ["picture_picture", "picture_text"]
    assert len(bench_of(whole, "picture_text").scores) == len(SCORES)
    with pytest.raises(CrossModalError, match="comparison 'text_text': expected one of picture_picture, picture_text"):
        bench_of(whole, "text_text")


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (table().drop(columns=["score", "same"]), "found no score, same"),
        (table()[SAME], "expected pairs that are the same and others that are not"),
        (table().iloc[:0], "found 0 of one verdict"),
    ],
)
def test_a_table_of_something_else_is_one_line(broken: pd.DataFrame, said: str) -> None:
    with pytest.raises(CrossModalError, match=said) as caught:
        comparisons_of(broken)
    assert "\n" not in str(caught.value)


def test_a_score_that_is_no_number_is_named() -> None:
    broken = table()
    broken.loc[3, "score"] = np.nan
    with pytest.raises(CrossModalError, match="pair 3 has a score that is not finite"):
        bench_of(broken, "picture_picture")


def test_the_usual_threshold_is_the_models_own_else_that_of_equal_errors() -> None:
    learned = calibrate(SCORES, SAME, BENCH.owners, resamples=100)
    saved = SavedCalibration({"picture_picture": learned})
    assert usual_threshold(BENCH, saved, "picture_picture") == (
        learned.threshold, "the model's own: false accepts of at most 1 %"
    )  # fmt: skip
    assert "learned on picture against picture" in usual_threshold(BENCH, saved, "picture_text")[1]
    threshold, meaning = usual_threshold(BENCH, None, "picture_picture")
    assert "no calibration" in meaning
    assert BENCH.at(threshold).false_accept.value == pytest.approx(BENCH.at(threshold).false_reject.value, abs=0.01)


def test_items_bring_pictures_and_words_and_strangers_stand_for_themselves() -> None:
    gallery = memory_gallery(shapes(4).split("test"), "each")
    kinds = dict(zip(gallery.matrix().ids, gallery.matrix().column("kind"), strict=True))
    picture = next(name for name, kind in kinds.items() if kind == "image")
    found = sides(gallery, [picture, "nobody", picture])
    assert found[picture].picture == gallery.thumbnails([picture])[0] is not None
    assert found[picture].words != picture
    assert (found["nobody"].words, found["nobody"].picture) == ("nobody", None)
    assert sides(None, ["a"])["a"].words == "a"
