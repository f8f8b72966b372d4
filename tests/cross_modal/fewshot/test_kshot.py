"""The experiment: nothing is chosen with the test items at hand, and every number can be found again."""

from dataclasses import replace

import numpy as np
import pytest
from toys.kshot_classes import TOYS, Means, sides

from cross_modal.configuration import KShotConfig
from cross_modal.errors import CrossModalError
from cross_modal.fewshot import rejection
from cross_modal.fewshot import search as search_module
from cross_modal.fewshot.kshot import run_kshot
from cross_modal.fewshot.kshot_pools import Pools
from cross_modal.fewshot.kshot_sides import LearningSide, TestSide

CONFIG = KShotConfig(shots=[1, 4], seeds=[1, 2, 3])


class Spy(TestSide):
    """A test side that remembers what had happened when it was opened."""

    def __init__(self, test, events):
        super().__init__(*test.reveal())
        self.events = events

    def reveal(self):
        self.events.append("reveal")
        return super().reveal()


@pytest.fixture
def searches(monkeypatch):
    """Every call of the door to tuning: its arrays, in order."""
    events, real = [], search_module.search

    def spy(classifier, *arrays, **options):
        events.append((classifier, *arrays, *options.values()))
        return real(classifier, *arrays, **options)

    monkeypatch.setattr(search_module, "search", spy)
    return events


@pytest.mark.parametrize("validation", [0, 6])
def test_no_test_item_is_in_reach_of_a_choice(searches, validation):
    learning, test = sides(validation=validation)
    features, _ = test.reveal()
    run_kshot(learning, Spy(test, searches), CONFIG, methods=TOYS)
    assert searches.count("reveal") == 1
    assert searches[-1] == "reveal", "something was chosen after the test items were known"
    tested = {row.tobytes() for row in features}
    calls = searches[:-1]
    assert len(calls) == 3 * 2 * 3  # methods that learn, K, seeds
    for call in calls:
        arrays = [part for part in call if isinstance(part, np.ndarray) and part.ndim == 2]
        assert arrays
        assert not any(np.shares_memory(array, features) for array in arrays)
        assert not tested & {row.tobytes() for array in arrays for row in array}


def test_thresholds_are_settled_before_the_test_items_are_known(monkeypatch):
    learning, test = sides()
    events, real = [], rejection.calibrate
    tested = {row.tobytes() for row in test.reveal()[0]}

    def calibrate(classifier, X, y, **options):
        events.append("calibrate")
        assert not tested & {row.tobytes() for row in X}
        return real(classifier, X, y, **options)

    monkeypatch.setattr(rejection, "calibrate", calibrate)
    run_kshot(learning, Spy(test, events), CONFIG, methods=TOYS)
    assert events == ["calibrate"] * 19 + ["reveal"]


def test_an_error_while_choosing_leaves_the_test_side_shut():
    class Broken(Means):
        def _fit(self, X, y):
            raise CrossModalError("broken")

    learning, test = sides()
    with pytest.raises(CrossModalError, match="broken"):
        run_kshot(learning, test, CONFIG, methods={"broken": Broken})
    assert test.revealed == 0


def test_rows_are_what_the_chosen_classifier_gives_on_the_test_items():
    learning, test = sides()
    result = run_kshot(learning, test, CONFIG, methods=TOYS)
    assert [(row.method, row.shots) for row in result.rows[:2]] == [("zero_shot", 0), ("means", 1)]
    assert len(result.rows) == 1 + 3 * 2 * 3
    features, labels = test.reveal()
    pools = Pools(learning, test, CONFIG)
    for split in pools.draw():
        X, y = pools.shots(split).support("plain")
        classes = np.unique(y)
        means = np.stack([X[y == label].astype(np.float64).mean(0) for label in classes])
        means /= np.linalg.norm(means, axis=1, keepdims=True)
        truth = (classes[(features @ means.T).argmax(1)] == labels).mean()
        found = [row for row in result.rows if (row.method, row.shots, row.seed) == ("means", split.shots, split.seed)]
        assert found[0].accuracy == pytest.approx(truth)
        assert found[0].parameters["sharpness"] == 1.0  # the first best: both sharpnesses rank alike
        assert found[0].seconds > 0
    names = (learning.classes[(features @ learning.texts.T).argmax(1)] == labels).mean()
    assert result.rows[0].accuracy == pytest.approx(names)


def test_metrics_and_protocol_name_the_numbers():
    learning, test = sides()
    result = run_kshot(replace(learning, name="toys"), test, CONFIG, methods=TOYS)
    metrics = result.metrics()
    found = [row.accuracy for row in result.rows if (row.method, row.shots) == ("means", 4)]
    assert metrics["kshot/means/4shot/accuracy"] == pytest.approx(np.mean(found))
    assert "kshot/means/4shot/accuracy/ci95" in metrics
    assert "kshot/zero_shot/0shot/accuracy" in metrics
    assert "kshot/zero_shot/0shot/accuracy/ci95" not in metrics
    assert {"kshot/means/4shot/auroc", "kshot/means/4shot/ece", "kshot/means/4shot/accuracy_at_far"} <= set(metrics)
    assert result.protocol.startswith("toys K=1,4 seeds=1-3 val=min(K,4) views=1 select=val split=")
    assert set(result.split_digests) == {f"{k}shot_seed{seed}" for k in (1, 4) for seed in (1, 2, 3)}


def test_the_order_of_items_and_classes_does_not_matter():
    learning, test = sides()
    order, text_order = np.random.default_rng(1).permutation(len(learning.train)), [3, 1, 0, 5, 4, 2]
    mixed = LearningSide(
        learning.train[order],
        learning.train_labels[order],
        texts=learning.texts[text_order],
        classes=learning.classes[text_order],
    )
    one, other = (run_kshot(side, test, CONFIG, methods=TOYS) for side in (learning, mixed))
    assert one.metrics() == other.metrics()
    assert one.protocol == other.protocol


def test_integer_labels_and_halves_work():
    learning, test = sides(validation=4)
    features, labels = test.reveal()
    number = {name: index for index, name in enumerate(learning.classes.tolist())}
    count = lambda names: np.array([number[name] for name in names.tolist()])  # noqa: E731
    whole = LearningSide(
        learning.train.astype(np.float16),
        count(learning.train_labels),
        learning.validation.astype(np.float16),
        count(learning.validation_labels),
        learning.texts.astype(np.float16),
        count(learning.classes),
    )
    result = run_kshot(whole, TestSide(features.astype(np.float16), count(labels)), CONFIG, methods=TOYS)
    assert result.metrics()["kshot/means/4shot/accuracy"] > 0.6


def test_views_reach_the_methods_that_take_them(searches):
    learning, test = sides(views=3)
    run_kshot(learning, test, replace(CONFIG, shots=[2], seeds=[1], views=3), methods=TOYS)
    sizes = {type(call[0]).__name__: call[1].shape for call in searches}
    assert sizes == {"Means": (12, 16), "RowMeans": (36, 16), "MeanMeans": (12, 16)}
    mean = next(call[1] for call in searches if type(call[0]).__name__ == "MeanMeans")
    assert np.allclose(np.linalg.norm(mean, axis=1), 1, atol=1e-6)
    del searches[:]
    result = run_kshot(learning, test, replace(CONFIG, shots=[2], seeds=[1]), methods=TOYS)
    assert {call[1].shape for call in searches} == {(12, 16)}
    assert "views=1 " in result.protocol


def test_training_that_is_random_takes_the_seed_of_its_split(searches):
    class Random(Means):
        def __init__(self, texts=None, classes=None, *, random_state=0, sharpness=1.0, scale=100.0, metric="cosine"):
            super().__init__(texts, classes, sharpness=sharpness, scale=scale, metric=metric)
            self.random_state = random_state

    run_kshot(*sides(), replace(CONFIG, shots=[1]), methods={"random": Random})
    assert [call[0].random_state for call in searches] == [1, 2, 3]


def test_base_to_new_learns_base_classes_alone(searches):
    learning, test = sides(classes=5)
    result = run_kshot(learning, test, replace(CONFIG, base_to_new=True), methods=TOYS)
    for classifier, _, y, _, y_validation in (call[:5] for call in searches):
        assert set(y) | set(y_validation) == {"kind 0", "kind 1", "kind 2"}
        assert classifier.classes.tolist() == ["kind 0", "kind 1", "kind 2"]
        assert len(classifier.texts) == 3
    features, labels = test.reveal()
    new = np.isin(labels, ["kind 3", "kind 4"])
    names = (learning.classes[3:][(features[new] @ learning.texts[3:].T).argmax(1)] == labels[new]).mean()
    for row in result.rows:
        base, other = row.measures["base_accuracy"], row.measures["new_accuracy"]
        assert other == pytest.approx(names)
        assert row.measures["harmonic_mean"] == pytest.approx(2 * base * other / (base + other))
    half = run_kshot(learning.among(learning.classes[:3]), TestSide(features[~new], labels[~new]), CONFIG, methods=TOYS)
    assert [row.measures["base_accuracy"] for row in result.rows] == [row.accuracy for row in half.rows]
    metrics = result.metrics()
    assert "kshot/means/4shot/accuracy" not in metrics
    assert "kshot/means/4shot/harmonic_mean/ci95" in metrics
    assert result.protocol.endswith("classes=base-to-new")
    with pytest.raises(CrossModalError, match="base-to-new: expected class texts"):
        run_kshot(*sides(texts=False), replace(CONFIG, base_to_new=True), methods=TOYS)


def test_without_validation_defaults_are_kept_and_said():
    result = run_kshot(*sides(), replace(CONFIG, max_validation=0), methods=TOYS)
    assert "select=defaults" in result.protocol
    assert any("not calibrated" in note for note in result.notes)
    assert all(np.isnan(row.validation_accuracy) for row in result.rows)


def test_without_texts_methods_go_by_pictures():
    result = run_kshot(*sides(), replace(CONFIG, texts=False), methods=TOYS)
    assert "zero_shot" not in {row.method for row in result.rows}
    assert "texts=none" in result.protocol
    assert "zero_shot needs class texts and is left out: there are none" in result.notes


def test_a_class_with_too_few_items_stops_it_unless_allowed(searches):
    learning, test = sides(train=4, validation=2)
    with pytest.raises(CrossModalError, match="class 'kind 0': expected 8 items for 8 shots, found 4; 6 such classes"):
        run_kshot(learning, test, replace(CONFIG, shots=[1, 8]), methods=TOYS)
    assert searches == []
    assert test.revealed == 0
    kept = run_kshot(learning, test, replace(CONFIG, shots=[1, 8], allow_fewer=True), methods=TOYS)
    assert "6 classes have fewer than 8 shots (class 'kind 0' has 4)" in kept.notes


def test_a_class_known_by_its_name_alone_takes_part():
    learning, test = sides()
    rows = learning.train_labels != "kind 2"
    side = LearningSide(
        learning.train[rows], learning.train_labels[rows], texts=learning.texts, classes=learning.classes
    )
    with pytest.raises(CrossModalError, match=r"class 'kind 2'.*found 0"):
        run_kshot(side, test, CONFIG, methods=TOYS)
    result = run_kshot(side, test, replace(CONFIG, allow_fewer=True), methods=TOYS)
    assert result.splits[0].short == {"kind 2": 0}
    assert result.metrics()["kshot/means/4shot/accuracy"] > 0.6


def test_published_splits_replace_the_drawn_ones():
    learning, test = sides()
    pools = Pools(learning, test, CONFIG)
    two = [split for split in pools.draw() if split.shots == 4][:2]
    result = run_kshot(learning, test, CONFIG, methods=TOYS, splits=two)
    assert {(row.shots, row.seed) for row in result.rows} == {(0, 1), (4, 1), (4, 2)}
    assert result.splits == two
    assert result.protocol.endswith("splits=published")
    base = run_kshot(learning, test, replace(CONFIG, base_to_new=True), methods=TOYS, splits=two)
    assert set(base.splits[0].support) == {"kind 0", "kind 1", "kind 2"}


def test_progress_is_told_after_each_fit():
    heard = []
    run_kshot(*sides(), replace(CONFIG, seeds=[7]), lambda *facts: heard.append(facts), methods=TOYS)
    assert [done for done, _, _ in heard] == list(range(1, 8))
    assert {total for _, total, _ in heard} == {7}
    assert heard[0][2] == "zero_shot"
    assert heard[1][2] == "means 1 shots seed 7"
