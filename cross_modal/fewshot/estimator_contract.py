"""Which of scikit-learn's estimator checks a few-shot classifier cannot meet, and why.

scikit-learn's contract is about estimators that learn from (X, y) alone. All few-shot classifiers but one do, once they
are given no texts: they fall back to their image-only form and meet every check. `ZeroShot` has no such form.

>>> from sklearn.utils.estimator_checks import check_estimator
>>> from cross_modal.fewshot.classifiers import Prototypes
>>> checked = check_estimator(Prototypes(), expected_failed_checks=expected_failed_checks(Prototypes()))
"""

from __future__ import annotations

from cross_modal.fewshot.classifiers.classifier import FewShotClassifier

WITHOUT_TEXTS = "it fits on X and y alone, and this method knows classes by their texts, which it refuses to do without"
FITTING_CHECKS = (
    "check_classifier_data_not_an_array",
    "check_classifiers_classes",
    "check_classifiers_train",
    "check_decision_proba_consistency",
    "check_dict_unchanged",
    "check_dont_overwrite_parameters",
    "check_dtype_object",
    "check_estimators_dtypes",
    "check_estimators_fit_returns_self",
    "check_estimators_nan_inf",
    "check_estimators_overwrite_params",
    "check_estimators_pickle",
    "check_f_contiguous_array_estimator",
    "check_fit2d_1feature",
    "check_fit2d_1sample",
    "check_fit2d_predict1d",
    "check_fit_check_is_fitted",
    "check_fit_idempotent",
    "check_fit_score_takes_y",
    "check_methods_sample_order_invariance",
    "check_methods_subset_invariance",
    "check_n_features_in",
    "check_n_features_in_after_fitting",
    "check_pipeline_consistency",
    "check_positive_only_tag_during_fit",
    "check_readonly_memmap_input",
    "check_supervised_y_2d",
)


def expected_failed_checks(estimator: FewShotClassifier) -> dict[str, str]:
    """The checks that an estimator fails by design.

    Args:
        estimator: Any few-shot classifier.

    Returns:
        Name of the check → why; what `sklearn.utils.estimator_checks` takes as ``expected_failed_checks``.
    """
    if estimator.needs_texts and estimator.texts is None:
        return dict.fromkeys(FITTING_CHECKS, WITHOUT_TEXTS)
    return {}
