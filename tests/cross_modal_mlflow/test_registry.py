import json
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.registry import ALIAS, Registration, Score, better, check_name, measured, register
from cross_modal_mlflow.report import Report
from cross_modal_mlflow.store import Store, open_store

ONE_SHOT = "episodes/20way_1shot_text/accuracy"


def report(value: float = 0.9, half: float | None = 0.01, digest: str = "aaaa", **protocol: Any) -> Report:
    metrics = {ONE_SHOT: value} | ({} if half is None else {f"{ONE_SHOT}/ci95": half})
    return Report("train", {"split_digest": digest, "queries": 5, "within_prefix": False, **protocol}, metrics)


@pytest.fixture
def store(workplace: Path) -> Store:
    return open_store()


def logged(store: Store) -> str:
    """A model without files: the registry needs no more."""
    model = store.client.create_logged_model(store.experiment_id, name="model")
    store.client.finalize_logged_model(model.model_id, "READY")
    return f"models:/{model.model_id}"


def champion(store: Store, name: str = "glyphs") -> str:
    return str(store.client.get_model_version_by_alias(name, ALIAS).version)


def test_the_first_version_is_the_champion(store: Store) -> None:
    uri = logged(store)
    assert register(store, "glyphs", uri, report()) == Registration("glyphs", 1, True, "the first one")
    assert champion(store) == "1"
    version = store.client.get_model_version("glyphs", "1")
    assert version.source == uri
    assert Score.from_tags(version.tags) == Score(ONE_SHOT, 0.9, 0.01, "aaaa", "5 queries a class")
    linked = store.client.get_logged_model(uri.removeprefix("models:/")).tags["mlflow.modelVersions"]
    assert json.loads(linked) == [{"name": "glyphs", "version": "1"}]


def test_a_version_beyond_doubt_better_takes_over(store: Store) -> None:
    register(store, "glyphs", logged(store), report(0.90))
    found = register(store, "glyphs", logged(store), report(0.95))
    assert found.champion
    assert "0.9500 ± 0.0100 beats 0.9000 ± 0.0100 of version 1" in found.reason
    assert champion(store) == "2"
    again = register(store, "glyphs", logged(store), report(0.93))
    assert not again.champion
    assert again.reason.startswith("version 2 stays")


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (report(0.915), "the intervals overlap"),
        (report(0.80), "0.8000 ± 0.0100 against 0.9000 ± 0.0100"),
        (report(0.99, digest="bbbb"), "other data (digest bbbb, the champion's aaaa)"),
        (report(0.99, half=None), "without an interval"),
        (report(0.99, within_prefix=True), "in another way"),
        (report(0.99, queries=15), "in another way (15 queries a class, the champion 5 queries a class)"),
        (Report("train", {"split_digest": "aaaa"}, {}), "nothing was measured"),
        (Report("train", {"split_digest": "aaaa"}, {"retrieval/image_to_text/recall_at_1": 1.0}), "was not measured"),
        (report(math.nan), "nothing was measured"),
    ],
)
def test_in_doubt_the_champion_stays(store: Store, other: Report, why: str) -> None:
    register(store, "glyphs", logged(store), report(0.90))
    found = register(store, "glyphs", logged(store), other)
    assert not found.champion
    assert found.version == 2
    assert why in found.reason
    assert champion(store) == "1"
    assert why in found.sentence


def test_a_champion_without_a_score_is_not_displaced(store: Store) -> None:
    """Somebody put it there by hand."""
    store.client.create_registered_model("glyphs")
    store.client.create_model_version("glyphs", str(Path.cwd()), tags={"cross_modal.score": "high"})
    store.client.set_registered_model_alias("glyphs", ALIAS, "1")
    found = register(store, "glyphs", logged(store), report())
    assert not found.champion
    assert "no score" in found.reason


def test_without_a_champion_the_next_version_becomes_it(store: Store) -> None:
    register(store, "glyphs", logged(store), report())
    store.client.delete_registered_model_alias("glyphs", ALIAS)
    assert register(store, "glyphs", logged(store), report(0.1)).champion


def test_of_versions_registered_at_once_one_is_the_champion(store: Store) -> None:
    uris = [logged(store) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda uri: register(store, "glyphs", uri, report()), uris))
    assert sorted(each.version for each in found) == [1, 2, 3, 4]
    assert sum(each.champion for each in found) == 1


def test_the_champions_metric_is_the_yardstick_where_it_was_measured(store: Store) -> None:
    register(store, "glyphs", logged(store), report(0.90))
    wider = report(0.95)
    wider.metrics |= {"episodes/50way_1shot/accuracy": 0.2, "episodes/50way_1shot/accuracy/ci95": 0.01}
    assert register(store, "glyphs", logged(store), wider).champion
    tags = store.client.get_model_version("glyphs", "2").tags
    assert tags["cross_modal.metric"] == ONE_SHOT


def test_the_hardest_setting_is_the_score() -> None:
    names = ["5way_1shot_text", "20way_0shot", "20way_5shot_text", "20way_1shot", "20way_1shot_text"]
    metrics = {f"episodes/{name}/accuracy": 0.5 for name in names} | {"retrieval/image_to_text/recall_at_1": 0.4}
    order = ["20way_1shot_text", "20way_1shot", "20way_5shot_text", "20way_0shot", "5way_1shot_text"]
    for name in order:
        found = measured(Report("train", {}, metrics))
        assert found is not None
        assert found.metric == f"episodes/{name}/accuracy"
        del metrics[found.metric]
    found = measured(Report("train", {}, metrics))
    assert found is not None
    assert found.metric == "retrieval/image_to_text/recall_at_1"


def test_twins_of_pairs_are_compared_by_the_area_under_the_roc_curve_and_graded_ones_by_their_order(
    store: Store,
) -> None:
    """Never by what hangs on a threshold, where a stricter one would look worse."""

    def pairs(metric: str, value: float) -> Report:
        own = {f"verification/{metric}": value, f"verification/{metric}/ci95": 0.01}
        rest = {"verification/accuracy": 1 - value, "verification/eer": value, "verification/pearson": 0.1}
        return Report("train", {"split_digest": "aaaa"}, rest | own)

    for metric in ("auc", "spearman"):
        assert register(store, metric, logged(store), pairs(metric, 0.90)).champion
        found = register(store, metric, logged(store), pairs(metric, 0.95))
        assert found.champion
        assert found.reason == f"verification/{metric} 0.9500 ± 0.0100 beats 0.9000 ± 0.0100 of version 1"
        assert "overlap" in register(store, metric, logged(store), pairs(metric, 0.96)).reason


def test_a_missing_digest_is_never_the_same_data() -> None:
    score = Score("m", 0.9, 0.01, "")
    assert better(score, Score("m", 0.1, 0.01, ""), "1")[0] is False


@pytest.mark.parametrize("name", ["", "  ", "a/b", "a:b", ".", ".."])
def test_bad_names_are_refused_before_anything_happens(name: str) -> None:
    with pytest.raises(CrossModalError, match="--register: expected a name without '/' and ':'"):
        check_name(name)


def test_a_registry_that_refuses_is_one_line(store: Store) -> None:
    with pytest.raises(CrossModalError, match=r"expected it to take models:/m-absent as 'glyphs', found: .*not found"):
        register(store, "glyphs", "models:/m-absent", report())


def test_serving_lines_can_be_pasted(store: Store) -> None:
    assert Registration("glyphs", 1, True, "").serve(store) == [
        f"export MLFLOW_TRACKING_URI={store.uri}",
        "mlflow models serve -m models:/glyphs@champion --env-manager local",
    ]
    assert "'models:/my model@champion'" in Registration("my model", 1, True, "").serve(store)[1]
