"""scikit-learn's own checks, on all eight methods; a check that is listed as failing must fail."""

import warnings

import pytest
from sklearn.utils.estimator_checks import check_estimator

from cross_modal.fewshot.classifiers import METHODS, ZeroShot
from cross_modal.fewshot.estimator_contract import expected_failed_checks

SHORT = {"cross_modal_probe": {"steps": 200}, "tip_adapter_f": {"epochs": 5}}


def failing(estimator):
    """Names of the checks that fail, with the first error of each."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(estimator, on_fail=None)
    assert len(results) > 40
    return {each["check_name"]: each["exception"] for each in results if each["status"] == "failed"}


@pytest.mark.parametrize("name", METHODS)
def test_checks_fail_that_are_listed_and_no_others(name):
    estimator = METHODS[name](**SHORT.get(name, {}))
    listed = expected_failed_checks(estimator)
    assert all(reason for reason in listed.values())
    found = failing(estimator)
    assert set(found) == set(listed), found


def test_only_names_alone_fail_any():
    assert [name for name, method in METHODS.items() if expected_failed_checks(method())] == ["zero_shot"]


class MeansAsTexts(ZeroShot):
    """Zero-shot whose texts are the class means, so that it can fit on X and y alone."""

    needs_texts = False

    def _class_vectors(self):
        return self._place(self._class_means())


def test_missing_texts_are_all_that_keeps_zero_shot_from_the_contract():
    assert not failing(MeansAsTexts())
