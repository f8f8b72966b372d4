"""A support set is fitted as its method, the twin's own mixture and its own calibration say."""

from typing import Any

import numpy as np
import pytest

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.classifiers import METHODS
from cross_modal.fewshot.mixture import Mixture, MixtureWeights
from cross_modal_mlflow.logged_support import LoggedSupport
from cross_modal_mlflow.support_classifier import fit_support

EYE = np.eye(4, dtype=np.float32)
MIXTURE = Mixture(
    {0: MixtureWeights(0.0, 10.0, False, False, {}), 1: MixtureWeights(20.0, 5.0, False, False, {})},
    (0.0,) * 4,
    (0.0,) * 4,
)


def support(images: list[int] = (), texts: list[int] = (), **settings: Any) -> LoggedSupport:  # type: ignore[assignment]
    """Class "c{i}" has the i-th unit vector, as picture, as text, or both."""
    return LoggedSupport(
        EYE[list(images)],
        [f"c{number}" for number in images],
        EYE[list(texts)],
        [f"c{number}" for number in texts],
        list(range(len(images))),
        list(range(len(texts))),
        **settings,
    )


def fit(what: LoggedSupport, method: str | None = None, **settings: Any) -> Any:
    return fit_support(what, method=method, metric="cosine", **settings)


@pytest.mark.parametrize("method", [name for name, kind in METHODS.items() if kind.closed_form])
@pytest.mark.parametrize("images", [[0, 1, 2], [0, 0, 1, 1, 1, 2], [0]])
def test_every_closed_form_names_the_class_of_its_own_shot(method: str, images: list[int]) -> None:
    fitted = fit(support(images, sorted(set(images))), method)
    assert fitted.predict(EYE[[images[-1]]]).tolist() == [f"c{images[-1]}"]


def test_texts_alone_are_zero_shot() -> None:
    assert fit(support(texts=[2, 0])).predict(EYE[[0, 2]]).tolist() == ["c0", "c2"]


def test_a_class_may_lack_a_picture_or_a_text() -> None:
    assert fit(support([0, 1], [1, 2])).predict(EYE[:3]).tolist() == ["c0", "c1", "c2"]


def test_several_texts_of_a_class_are_one_mean() -> None:
    two = LoggedSupport(EYE[:0], [], EYE[[0, 1, 2]], ["a", "a", "b"], [], [0, 1, 2])
    assert np.allclose(fit(two).texts_[0], [0.5**0.5, 0.5**0.5, 0, 0])


def test_a_twin_of_texts_has_texts_for_shots() -> None:
    fitted = fit(support(texts=[0, 0, 1]), texts_only=True)
    assert fitted.texts_ is None
    assert fitted.shots_.tolist() == [2, 1]


def test_prototypes_weigh_names_as_the_mixture_does() -> None:
    assert fit(support([0, 1], [0, 1]), mixture=MIXTURE).kappa == pytest.approx(1 * 5 / 20)
    assert fit(support([0, 0, 1, 1], [0, 1]), mixture=MIXTURE).kappa == pytest.approx(2 * 5 / 20)
    assert fit(support([0, 1], [0, 1])).kappa == 1.0


def test_probabilities_are_as_steep_as_the_mixture_says() -> None:
    assert fit(support([0, 1], [0, 1]), mixture=MIXTURE).temperature_ == pytest.approx(100 / 25)
    assert fit(support([0, 1]), mixture=MIXTURE).temperature_ == pytest.approx(100 / 20)
    assert fit(support(texts=[0, 1]), mixture=MIXTURE).temperature_ == pytest.approx(100 / 10)
    assert fit(support([0, 1])).temperature_ == 1.0
    assert fit(support([0, 1]), "tip_adapter", mixture=MIXTURE).temperature_ == 1.0


def test_the_supports_own_settings_come_first() -> None:
    own = support(
        [0, 1], [0, 1], method="tip_adapter", parameters={"beta": 2.0}, threshold=0.5, temperature=3.0, digest="x"
    )
    fitted = fit(own, mixture=MIXTURE)
    assert (type(fitted).__name__, fitted.beta, fitted.threshold_, fitted.temperature_) == ("TipAdapter", 2.0, 0.5, 3.0)
    other = fit(own, "prototypes", mixture=MIXTURE)
    assert (other.threshold_, other.temperature_) == (None, pytest.approx(4.0))


def test_what_cannot_be_fitted_is_named() -> None:
    with pytest.raises(CrossModalError, match=r"params\.method: expected one of zero_shot, .*, found 'guess'"):
        fit(support([0]), "guess")
    with pytest.raises(CrossModalError, match=r"params\.method: .*, found 'cross_modal_probe'"):
        fit(support([0], [0]), "cross_modal_probe")
    with pytest.raises(CrossModalError, match="ZeroShot: expected texts"):
        fit(support([0]), "zero_shot")
    with pytest.raises(CrossModalError, match=r"support\.parameters: expected those of prototypes, found: .*'alpha'"):
        fit(support([0], method="prototypes", parameters={"alpha": 1}))


def test_a_method_trained_by_steps_is_allowed_where_the_support_was_logged_with_it() -> None:
    own = support([0, 1], [0, 1], method="tip_adapter_f", parameters={"alpha": 2.0})
    assert fit(own).predict(EYE[:2]).tolist() == ["c0", "c1"]
