"""The calibration beside a twin: what it answers for which comparison, and that it comes back as it went."""

import json
from pathlib import Path

import numpy as np
import pytest
from toys.calibrations import calibrated, pairs_around
from toys.scored_pairs import pairs_of_people

from cross_modal.errors import CrossModalError
from cross_modal.verification.bootstrap import Owners
from cross_modal.verification.calibration import Calibration
from cross_modal.verification.comparison import MIXED
from cross_modal.verification.saved_calibration import (
    FILE,
    SCORES,
    CalibrationPairs,
    SavedCalibration,
    resamples_for,
)

TWO = calibrated({"picture_picture": 0.7, "picture_text": 0.3})


class TestSeveralComparisons:
    def test_each_has_its_own_threshold(self) -> None:
        assert TWO.of("picture_picture")[0].threshold == pytest.approx(0.7)
        assert TWO.of("picture_text") == (TWO.calibrations["picture_text"], [])

    def test_the_first_speaks_for_those_that_have_none_and_says_so(self) -> None:
        calibration, notes = TWO.of("text_text")
        assert calibration is TWO.main is TWO.calibrations["picture_picture"]
        assert notes == [
            "the threshold was learned on picture against picture, not on text against text: expect other error rates"
        ]

    def test_one_of_mixed_pairs_speaks_for_all_without_a_word(self) -> None:
        assert calibrated({MIXED: 0.5}).of("text_text")[1] == []

    def test_none_is_refused(self) -> None:
        with pytest.raises(CrossModalError, match="expected pairs of at least one comparison, found none"):
            SavedCalibration.of_comparisons({}, "cosine", {})


class TestLearned:
    def learned(self, kinds: np.ndarray, first: CalibrationPairs, second: CalibrationPairs) -> SavedCalibration:
        pairs = CalibrationPairs(
            np.concatenate([first.scores, second.scores]),
            np.concatenate([first.same, second.same]),
            Owners(
                np.concatenate([first.owners.a, second.owners.a]), np.concatenate([first.owners.b, second.owners.b])
            ),
        )
        return SavedCalibration.learned(pairs, kinds, "cosine", {})

    def test_pairs_of_one_kind_give_one_calibration(self) -> None:
        pairs = pairs_around(0.4)
        found = SavedCalibration.learned(pairs, np.full(60, "text_text", object), "cosine", {})
        assert list(found.calibrations) == ["text_text"]
        assert found.main.threshold == pytest.approx(0.4)

    def test_pairs_of_two_kinds_give_one_of_all_and_one_of_each(self) -> None:
        kinds = np.repeat(np.array(["picture_picture", "picture_text"], object), 60)
        found = self.learned(kinds, pairs_around(0.7), pairs_around(0.3))
        assert list(found.calibrations) == [MIXED, "picture_picture", "picture_text"]
        assert found.of("picture_text")[0].threshold == pytest.approx(0.3)

    def test_a_kind_with_few_pairs_has_none_of_its_own(self) -> None:
        kinds = np.repeat(np.array(["picture_picture", "picture_text"], object), [60, 20])
        found = self.learned(kinds, pairs_around(0.7), pairs_around(0.3, people=10))
        assert list(found.calibrations) == [MIXED, "picture_picture"]


class TestAnotherRate:
    scores, same, owners = pairs_of_people(40, 10, seed=0)
    found = SavedCalibration.of_comparisons({"picture_picture": CalibrationPairs(scores, same, owners)}, "cosine", {})

    def test_a_stricter_rate_gives_a_higher_threshold_with_its_own_error_rates(self) -> None:
        strict, usual = self.found.of("picture_picture", 0.005)[0], self.found.main
        assert strict.threshold > usual.threshold
        assert strict.point().false_accept.value <= 0.005
        assert strict.point().false_reject.value > usual.point().false_reject.value

    def test_a_rate_that_the_pairs_cannot_show_is_noted(self) -> None:
        (note,) = self.found.of("picture_picture", 1e-4)[1]
        assert "cannot show a false-accept rate of 0.01 %" in note

    def test_a_rate_out_of_range_or_without_scores_is_refused(self) -> None:
        with pytest.raises(CrossModalError, match="false-accept rate between 0 and 1, found 2"):
            self.found.of("picture_picture", 2)
        with pytest.raises(CrossModalError, match="expected the scores that the model was calibrated on"):
            SavedCalibration(self.found.calibrations).of("picture_picture", 0.1)

    def test_many_pairs_are_resampled_less_often(self) -> None:
        assert resamples_for(10) == resamples_for(20_000) == 1000
        assert resamples_for(40_000) == 500
        assert resamples_for(10**9) == 100


class TestOnDisk:
    def test_it_comes_back_as_it_went(self, tmp_path: Path) -> None:
        TWO.save(tmp_path)
        again = SavedCalibration.load(tmp_path)
        assert again is not None
        assert again.calibrations == TWO.calibrations
        assert list(again.calibrations) == list(TWO.calibrations)
        assert again.provenance == {"data": "toys"}
        for name, pairs in TWO.pairs.items():
            assert (again.pairs[name].scores == pairs.scores).all()
            assert (again.pairs[name].same == pairs.same).all()
        assert again.of("picture_text", 0.2)[0] == TWO.of("picture_text", 0.2)[0]
        assert sorted(path.name for path in tmp_path.iterdir()) == [FILE, SCORES]

    def test_the_file_is_the_first_calibration_for_whoever_reads_it_as_that(self, tmp_path: Path) -> None:
        content = json.loads(TWO.save(tmp_path).read_text())
        assert Calibration.from_dict(content) == TWO.main
        assert content["comparison"] == "picture_picture"

    def test_a_twin_without_one_has_none(self, tmp_path: Path) -> None:
        assert SavedCalibration.load(tmp_path) is None

    def test_without_the_scores_the_thresholds_are_there_all_the_same(self, tmp_path: Path) -> None:
        TWO.save(tmp_path)
        (tmp_path / SCORES).unlink()
        again = SavedCalibration.load(tmp_path)
        assert again is not None
        assert (again.calibrations, again.pairs) == (TWO.calibrations, {})

    def test_scores_of_an_earlier_calibration_do_not_speak_for_a_later_one(self, tmp_path: Path) -> None:
        TWO.save(tmp_path)
        SavedCalibration(TWO.calibrations).save(tmp_path)
        again = SavedCalibration.load(tmp_path)
        assert again is not None
        assert again.pairs == {}

    @pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 1}'])
    def test_another_file_is_refused_in_one_line(self, tmp_path: Path, content: str) -> None:
        (tmp_path / FILE).write_text(content)
        with pytest.raises(CrossModalError, match=r"verification\.json: expected a calibration, found") as error:
            SavedCalibration.load(tmp_path)
        assert "\n" not in str(error.value)

    def test_damaged_scores_are_refused_in_one_line(self, tmp_path: Path) -> None:
        TWO.save(tmp_path)
        (tmp_path / SCORES).write_bytes(b"nothing")
        with pytest.raises(CrossModalError, match=r"verification\.safetensors: expected scored pairs"):
            SavedCalibration.load(tmp_path)
