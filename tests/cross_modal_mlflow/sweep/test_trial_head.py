"""Trials of heads: the same episodes in each, few of them for poor heads, and the winner not lost by that."""

import math
import time

import numpy as np
import optuna
import pytest
from scipy import stats

from cross_modal.configuration import EvaluationConfig
from cross_modal.errors import CrossModalError
from cross_modal.evaluation import EvaluationItems
from cross_modal.fewshot.episode_heads import Head
from cross_modal.fewshot.intervals import mean_and_interval
from cross_modal_mlflow.sweep.head_space import HeadSpace
from cross_modal_mlflow.sweep.trial_head import HeadEpisodes, episodes_spent, run_head_trial

CLASSES, PER_CLASS, DIM = 30, 10, 24
CONFIG = EvaluationConfig(ways=[5, 10], shots=[0, 1, 3], queries=3, episodes=300)


def clouds(texts: bool = True, **columns: object) -> EvaluationItems:
    """Pictures around class centres; texts near them, moved by a modality gap."""
    random = np.random.default_rng(0)
    ids, centres = np.repeat(np.arange(CLASSES), PER_CLASS), random.normal(size=(CLASSES, DIM))
    images = centres[ids] + 1.6 * random.normal(size=(len(ids), DIM))
    names = centres + 1.6 * random.normal(size=centres.shape) + random.normal(size=DIM)
    return EvaluationItems(
        images, ids, **({"texts": names, "text_classes": np.arange(CLASSES)} if texts else {}) | columns
    )


class Recorder:
    """A trial that keeps what it is told and may be asked to stop."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.reported: dict[int, float] = {}
        self.stop_at = stop_at
        self.asked: list[int] = []

    def report(self, value: float, step: int) -> None:
        self.reported[step] = value

    def should_prune(self) -> bool:
        self.asked.append(len(self.reported))
        return self.stop_at is not None and max(self.reported) >= self.stop_at


def test_every_way_and_shot_takes_part_but_for_zero_shots() -> None:
    episodes = HeadEpisodes.of(clouds(), CONFIG)
    assert list(episodes.settings) == ["5way_1shot", "5way_3shot", "10way_1shot", "10way_3shot"]
    assert len(episodes) == 300


def test_episodes_are_those_of_the_evaluation_and_the_same_in_every_trial() -> None:
    items = clouds()
    one, other = HeadEpisodes.of(items, CONFIG), HeadEpisodes.of(items, CONFIG)
    for name, (ways, shots) in {"5way_1shot": (5, 1), "10way_3shot": (10, 3)}.items():
        expected = items.episodes(ways, shots, CONFIG)
        for episodes in (one.settings[name], other.settings[name]):
            np.testing.assert_array_equal(episodes.support, expected.support)
            np.testing.assert_array_equal(episodes.query, expected.query)


def test_the_value_is_the_mean_over_settings_and_blocks_are_their_parts() -> None:
    episodes, trial, heard = HeadEpisodes.of(clouds(), CONFIG), Recorder(), []
    outcome = run_head_trial(
        Head("prototypes"), episodes, trial, report=lambda value, step: heard.append((step, value))
    )
    whole = episodes.accuracies(Head("prototypes"))
    assert math.isclose(outcome.value, np.mean([each.mean() for each in whole.values()]), abs_tol=1e-12)
    assert outcome.metrics["validation/episodes/5way_1shot/accuracy"] == whole["5way_1shot"].mean()
    assert outcome.metrics["validation/episodes/5way_1shot/accuracy/ci95"] == mean_and_interval(whole["5way_1shot"])[1]
    assert list(trial.reported) == list(range(20, 301, 20))
    assert heard == list(trial.reported.items())
    assert math.isclose(trial.reported[40], np.mean([each[20:40].mean() for each in whole.values()]))


def test_reports_stay_few_however_many_episodes_there_are() -> None:
    many = EvaluationConfig(ways=[5], shots=[1], queries=1, episodes=4990)
    blocks = list(HeadEpisodes.of(clouds(), many).blocks())
    assert len(blocks) == 50
    assert (blocks[0], blocks[-1]) == (slice(0, 100), slice(4900, 4990))


def test_the_pruner_is_asked_where_its_test_is_quick_and_not_after_the_last_block() -> None:
    trial = Recorder()
    run_head_trial(Head("prototypes"), HeadEpisodes.of(clouds(), CONFIG), trial)
    assert trial.asked == [*range(1, 8), 14]
    alike = np.repeat([0.0, 0.01], 7)  # some pairs tie: as many as are asked about are tested in no time
    for count in (7, 14):
        began = time.process_time()
        stats.wilcoxon(alike[:count], alternative="less", zero_method="zsplit")
        assert time.process_time() - began < 0.3


def test_a_stopped_trial_says_when_and_the_default_is_never_stopped() -> None:
    episodes = HeadEpisodes.of(clouds(), CONFIG)
    with pytest.raises(optuna.TrialPruned, match="after 60 of 300 episodes"):
        run_head_trial(Head("prototypes"), episodes, Recorder(stop_at=60))
    trial = Recorder(stop_at=60)
    run_head_trial(Head("prototypes"), episodes, trial, prune=False)
    assert max(trial.reported) == 300


def search(pruner: optuna.pruners.BasePruner, trials: int = 24) -> optuna.Study:
    """The same heads under any pruner, the default first."""
    space, episodes = HeadSpace.default(), HeadEpisodes.of(clouds(), CONFIG)
    sampler = optuna.samplers.RandomSampler(seed=3)
    study = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)
    study.enqueue_trial(space.parameters_of_default())
    study.optimize(lambda trial: run_head_trial(space.suggest(trial), episodes, trial).value, n_trials=trials)
    return study


def test_pruning_on_paired_episodes_spends_few_and_finds_a_head_as_good() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    whole, pruned = search(optuna.pruners.NopPruner()), search(optuna.pruners.WilcoxonPruner())
    assert [trial.params for trial in pruned.trials] == [trial.params for trial in whole.trials]
    assert episodes_spent(whole) == 24 * 300
    assert episodes_spent(pruned) < 0.5 * episodes_spent(whole)
    space, episodes = HeadSpace.default(), HeadEpisodes.of(clouds(), CONFIG)
    best, found = (
        episodes.accuracies(space.suggest(optuna.trial.FixedTrial(study.best_params))) for study in (whole, pruned)
    )
    lost, half = mean_and_interval(np.mean([best[name] - found[name] for name in best], axis=0))
    assert lost <= half + 1e-12


def test_items_that_allow_fewer_ways_or_no_names_are_scored_as_they_allow() -> None:
    large = EvaluationConfig(ways=[50], shots=[0], queries=2, episodes=10)
    assert list(HeadEpisodes.of(clouds(), large).settings) == ["25way_1shot"]
    assert HeadEpisodes.of(clouds(texts=False), CONFIG).texts is None
    some = clouds()
    few = EvaluationItems(some.images, some.image_classes, some.texts[:8], some.text_classes[:8])
    named = HeadEpisodes.of(few, CONFIG)
    assert list(named.settings) == ["5way_1shot", "5way_3shot"]
    assert max(each.classes.max() for each in named.settings.values()) < 8
    one = EvaluationItems(some.images, some.image_classes, some.texts[:1], some.text_classes[:1])
    assert HeadEpisodes.of(one, CONFIG).texts is None


def test_episodes_without_queries_take_no_part() -> None:
    items = clouds(texts=False)
    episodes = HeadEpisodes.of(items, CONFIG)
    for drawn in episodes.settings.values():
        drawn.query[:25] = -1  # all of the first block and a part of the second
    trial = Recorder()
    outcome = run_head_trial(Head("prototypes"), episodes, trial)
    assert next(iter(trial.reported)) == 40
    whole = episodes.accuracies(Head("prototypes"), slice(25, 300))
    assert math.isclose(outcome.value, np.mean([each.mean() for each in whole.values()]))
    for drawn in episodes.settings.values():
        drawn.query[:] = -1
    with pytest.raises(CrossModalError, match="expected episodes with queries"):
        run_head_trial(Head("prototypes"), episodes, Recorder())


def test_items_without_pictures_or_classes_are_refused() -> None:
    words = EvaluationItems(None, np.zeros(0, np.int64), np.eye(3, dtype=np.float32), np.arange(3))
    with pytest.raises(CrossModalError, match="heads: expected items with pictures, found none"):
        HeadEpisodes.of(words, CONFIG)
    single = EvaluationItems(np.eye(4, dtype=np.float32), np.arange(4))
    with pytest.raises(CrossModalError, match="2-way 1-shot with 3 queries needs 2 classes"):
        HeadEpisodes.of(single, CONFIG)
