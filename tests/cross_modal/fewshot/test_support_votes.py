import math

import numpy as np
import pytest
from sklearn.base import clone
from toys.few_shots import few_shots, lengths_one

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.classifiers import (
    GaussianDiscriminant,
    NearestNeighbours,
    Prototypes,
    TipAdapter,
    TipAdapterF,
)
from cross_modal.fewshot.classifiers import prototypes as prototypes_module
from cross_modal.fewshot.support_votes import leave_one_out, votes

PROTOTYPES = [
    {"kappa": kappa, "centre": centre, "blend": blend, "metric": metric}
    for kappa in (0.0, 1.5, 1e9)
    for centre in (False, True)
    for blend in ("embeddings", "scores")
    for metric in ("cosine", "euclidean")
]


def uneven(seed=0):
    """A class without shots, one without a text, one of a single shot."""
    toy = few_shots(shots=[3, 4, 0, 5, 1, 2], seed=seed)
    toy.texts[1] = np.nan
    return toy


@pytest.mark.parametrize(
    "model",
    [
        *(Prototypes(**setting) for setting in PROTOTYPES),
        TipAdapter(),
        TipAdapter(metric="euclidean"),
        TipAdapterF(epochs=3, alpha=3.0),
    ],
    ids=str,
)
@pytest.mark.parametrize("texts", [True, False])
def test_votes_sum_to_the_scores(model, texts):
    toy = uneven()
    model = clone(model).set_params(**({"texts": toy.texts, "classes": toy.classes} if texts else {}))
    model.fit(toy.X, toy.y)
    found = votes(model, toy.queries)
    total = found.text.copy()
    for place in range(len(model.classes_)):
        total[:, place] += found.support[:, model.support_classes_ == place].sum(1)
    np.testing.assert_allclose(total, model.scores(toy.queries), rtol=1e-9, atol=1e-7)


def test_votes_of_tip_adapter_are_its_terms():
    toy = few_shots()
    shuffled = np.random.default_rng(0).permutation(len(toy.X))
    model = TipAdapter(toy.texts, toy.classes, alpha=2, beta=3).fit(toy.X[shuffled], toy.y[shuffled])
    found = votes(model, toy.queries)
    cosines = lengths_one(toy.queries) @ lengths_one(toy.X[shuffled]).T
    np.testing.assert_allclose(found.support, 2 * np.exp(-3 * (1 - cosines)), rtol=1e-9)
    np.testing.assert_allclose(found.text, 100 * lengths_one(toy.queries) @ lengths_one(toy.texts).T, atol=1e-9)


def test_votes_of_prototypes_are_its_terms():
    toy = few_shots(shots=4)
    model = Prototypes(toy.texts, toy.classes, kappa=2, centre=False).fit(toy.X, toy.y)
    found = votes(model, toy.queries)
    X, t, queries = lengths_one(toy.X), lengths_one(toy.texts), lengths_one(toy.queries)
    means = X.reshape(6, 4, -1).mean(1)
    lengths = np.linalg.norm(t / 3 + 2 / 3 * lengths_one(means), axis=1)
    np.testing.assert_allclose(found.text, 100 * queries @ t.T / 3 / lengths, atol=1e-9)
    share = (2 / 3) / np.linalg.norm(means, axis=1) / lengths / 4
    np.testing.assert_allclose(found.support, 100 * np.repeat(share, 4) * (queries @ X.T), atol=1e-9)


def test_without_texts_all_is_said_by_shots():
    toy = few_shots()
    for model in (Prototypes(centre=False), Prototypes(), TipAdapter()):
        np.testing.assert_allclose(votes(model.fit(toy.X, toy.y), toy.queries).text, 0, atol=1e-9)


def test_only_additive_methods_have_votes():
    toy = few_shots()
    for model in (NearestNeighbours(), GaussianDiscriminant()):
        with pytest.raises(CrossModalError, match="its scores are no sum over supports"):
            votes(model.fit(toy.X, toy.y), toy.queries)


def refitted(model, toy):
    """Margins by fitting anew without each shot."""
    margins = []
    for row, label in enumerate(toy.y):
        rest = np.arange(len(toy.y)) != row
        place = model.classes_.tolist().index(label)
        try:
            scores = clone(model).set_params(classes=model.classes_).fit(toy.X[rest], toy.y[rest])
        except CrossModalError:
            margins.append(math.nan)
            continue
        scores = scores.scores(toy.X[row : row + 1])[0]
        left = int((toy.y == label).sum()) - 1
        if isinstance(model, TipAdapter) and left:  # the shots that are left speak for as many as there were
            scores[place] += (scores[place] - votes(model, toy.X[row : row + 1]).text[0, place]) / left
        margins.append(scores[place] - np.delete(scores, place).max())
    return np.array(margins)


@pytest.mark.parametrize(
    "model",
    [
        *(Prototypes(**setting) for setting in PROTOTYPES),
        TipAdapter(alpha=20.0),
        TipAdapter(metric="euclidean"),
        NearestNeighbours(),
        GaussianDiscriminant(),
    ],
    ids=str,
)
@pytest.mark.parametrize("texts", ["all", "some", "none"])
def test_leaving_one_out_equals_fitting_without_it(model, texts):
    toy = uneven() if texts == "some" else few_shots(shots=[3, 4, 2, 5, 1, 2])
    arguments = {} if texts == "none" else {"texts": toy.texts, "classes": toy.classes}
    model = clone(model).set_params(**arguments).fit(toy.X, toy.y)
    found = leave_one_out(model)
    np.testing.assert_allclose(found, refitted(model, toy), rtol=1e-7, atol=1e-7)
    assert np.isnan(found).any() == (texts == "none")


def test_chunks_of_shots_change_nothing(monkeypatch):
    toy = few_shots()
    model = Prototypes(toy.texts, toy.classes).fit(toy.X, toy.y)
    whole = leave_one_out(model)
    monkeypatch.setattr(prototypes_module, "CELLS", 200)
    np.testing.assert_allclose(leave_one_out(model), whole)


def test_it_holds_after_classes_were_added():
    toy = few_shots()
    first = toy.y < "kind d"
    model = Prototypes(toy.texts[:3], toy.classes[:3]).fit(toy.X[first], toy.y[first])
    model.add(toy.X[~first], toy.y[~first], texts=toy.texts[3:], classes=toy.classes[3:])
    whole = Prototypes(toy.texts, toy.classes).fit(toy.X, toy.y)
    np.testing.assert_allclose(leave_one_out(model), leave_one_out(whole), atol=1e-9)


@pytest.mark.parametrize("model", [Prototypes(), TipAdapter(alpha=20.0), NearestNeighbours(), TipAdapterF(epochs=2)])
def test_it_points_at_a_mislabelled_shot(model):
    toy = few_shots(shots=5, noise=0.3)
    y = toy.y.copy()
    y[7] = "kind e"
    margins = leave_one_out(clone(model).fit(toy.X, y))
    assert margins.argmin() == 7
    assert margins[7] < 0
    assert (margins > 0).mean() > 0.75


@pytest.mark.parametrize("model", [TipAdapter(alpha=3000.0, beta=0.1), TipAdapterF(alpha=3000.0, beta=0.1, epochs=1)])
def test_flat_votes_of_few_shots_are_not_all_called_mislabelled(model):
    toy = few_shots(shots=2, noise=0.2)
    assert (leave_one_out(clone(model).fit(toy.X, toy.y)) > 0).mean() > 0.75


def test_refits_report_their_progress():
    toy = few_shots(shots=2)
    heard = []
    leave_one_out(NearestNeighbours().fit(toy.X, toy.y), lambda done, total: heard.append((done, total)))
    assert heard == [(done, 12) for done in range(1, 13)]


def test_one_class_has_no_other():
    with pytest.raises(CrossModalError, match="expected 2 classes or more to compare, found 1"):
        leave_one_out(Prototypes().fit(np.eye(3), ["a"] * 3))
