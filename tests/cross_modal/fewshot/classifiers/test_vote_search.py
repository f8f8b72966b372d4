from toys.clouds import clouds

from cross_modal.fewshot.classifiers.tip_adapter import TipAdapter
from cross_modal.fewshot.classifiers.vote_search import vote_accuracies


def test_every_point_is_what_a_classifier_with_these_values_reaches() -> None:
    toy = clouds([3, 1, 4], 8, noise=1.5, text_noise=3.0)
    model = TipAdapter(toy.texts, alpha=2.0, beta=3.0).fit(toy.X, toy.y)
    points = [{"alpha": 9.0, "beta": 1.0}, {"beta": 7.0}, {"alpha": 0.0}, {}, {"alpha": 300.0, "beta": 0.5}]
    found = vote_accuracies(model, model._place(toy.X_validation), toy.y_validation, points)
    assert found == [
        float(
            (
                model.set_params(**{"alpha": 2.0, "beta": 3.0} | point).predict(toy.X_validation) == toy.y_validation
            ).mean()
        )
        for point in points
    ]
    assert len(set(found)) > 1
