"""The Runs page: every run, the curves of the chosen one, and what a study learned."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from mlflow.entities import Metric
from streamlit.testing.v1 import AppTest
from toys.sweep_studies import training_study

from cross_modal.gallery.gallery import Gallery
from cross_modal.gallery.schema import vector_column
from cross_modal_dashboards.components import matches_link, study_panel, two_runs
from cross_modal_dashboards.run_comparison import compare, comparison_table, draw_queries, shared_items, summarise
from cross_modal_mlflow.store import open_store
from cross_modal_mlflow.sweep.storage import open_storage
from cross_modal_mlflow.tracking import tracked_run

Opened = Callable[..., AppTest]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    return tmp_path


def headings(page: AppTest) -> list[str]:
    return [each.value for each in page.subheader]


def test_a_real_run_is_listed_with_its_metrics_and_curves(explored: Any, open_view: Opened) -> None:
    page = open_view("runs")
    assert not page.exception
    assert explored.run_id in page.dataframe[0].value["run_id"].tolist()
    assert page.query_params["of"] in (explored.run_id, [explored.run_id])
    assert "**Loss**" in [each.value for each in page.markdown]
    assert headings(page) == ["Curves"]


def test_a_run_more_is_a_row_more_and_a_link_opens_the_older_one(store: Path, open_view: Opened) -> None:
    ids = []
    for name in ("first", "second"):
        with tracked_run("train", open_store(), name=name) as run:
            run.metrics({"validation/score": 0.25}, step=1)
        ids.append(run.run_id)
    page = open_view("runs", of=ids[0])
    assert page.dataframe[0].value["name"].tolist() == ["second", "first"]
    assert page.selectbox(key="chosen_run").value == ids[0]
    assert page.dataframe[0].value["validation/score"].tolist() == [0.25, 0.25]


def test_the_study_of_a_sweep_is_drawn_and_its_trials_are_listed(store: Path, open_view: Opened) -> None:
    journal = str(store / "sweeps.journal")
    study = optuna.create_study(study_name="birds", storage=open_storage(journal), direction="maximize")
    study.add_trials(training_study().get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))[:12])
    tags = {"optuna.study": "birds", "optuna.storage": journal}
    with tracked_run("sweep", open_store(), name="sweep birds", tags=tags) as parent:
        pass
    with tracked_run("trial", open_store(), name="trial-0", tags={"mlflow.parentRunId": parent.run_id}) as trial:
        trial.metrics({"optuna/value": 0.5})
    page = open_view("runs")
    assert not page.exception
    assert headings(page) == ["Curves", "Study"]
    assert page.dataframe[-1].value["trial"].tolist() == ["trial-0"]
    assert "**1 trial**" in [each.value for each in page.markdown]


def test_a_study_that_is_elsewhere_leaves_the_rest_of_the_page(store: Path, open_view: Opened) -> None:
    tags = {"optuna.study": "birds", "optuna.storage": "/nowhere/sweeps.journal"}
    with tracked_run("sweep", open_store(), name="sweep birds", tags=tags):
        pass
    page = open_view("runs")
    assert not page.exception
    assert page.info[0].value.startswith("study birds: expected its journal on this machine")


def test_no_runs_say_what_makes_one(store: Path, open_view: Opened) -> None:
    page = open_view("runs")
    assert "cross-modal demo" in page.info[0].value
    assert list(store.iterdir()) == []


def test_a_broken_store_is_one_line(store: Path, open_view: Opened) -> None:
    (store / "mlflow.db").write_text("this is no database, but long enough to be looked at" * 40)
    page = open_view("runs")
    assert not page.exception
    assert len(page.error) == 1
    assert "\n" not in page.error[0].value


def test_a_link_to_a_run_that_is_gone_shows_the_newest_and_says_so(store: Path, open_view: Opened) -> None:
    with tracked_run("train", open_store(), name="one") as run:
        pass
    page = open_view("runs", of="0" * 32)
    assert "showing the newest" in page.warning[0].value
    assert page.selectbox(key="chosen_run").value == run.run_id


# Two runs


@pytest.fixture
def pair(real_run: Any, store: Path) -> tuple[str, str]:
    """The real run and one like it, whose gallery holds the same items with other embeddings."""
    shutil.copy(real_run.folder / "mlflow.db", store / "mlflow.db")
    own = Gallery.open(real_run.folder / "galleries" / f"{real_run.run_id}.gallery")
    write_noisy(own, store / "noisy.gallery", seed=0)
    with tracked_run(
        "train", open_store(), name="noisy", tags={"cross_modal.gallery": str(store / "noisy.gallery")}
    ) as run:
        pass
    return real_run.run_id, run.run_id


def write_noisy(gallery: Gallery, to: Path, seed: int) -> None:
    """The same rows with embeddings that noise has moved."""
    rows = gallery.rows(columns=gallery.columns)
    vectors = gallery.matrix().vectors + np.random.default_rng(seed).normal(0, 0.2, gallery.matrix().vectors.shape)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    place = rows.column_names.index("vector")
    column = vector_column(vectors.astype(np.float32), len(vectors), gallery.binding.dim)
    with Gallery.create(to, gallery.binding) as noisy:
        noisy.upsert(rows.set_column(place, "vector", column))


def shown_metrics(page: AppTest) -> dict[str, str]:
    return {each.label: each.value for each in page.metric}


def library_answer(a: Gallery, b: Gallery, seed: int) -> Any:
    shared = shared_items(a.matrix(), b.matrix())
    queries = draw_queries(shared, "text", "image", 200, seed)
    found = compare(a.matrix(), b.matrix(), ("cosine", "cosine"), shared, queries, "image", 8)
    table = comparison_table(shared, found)
    return table, summarise(table)


def test_two_runs_are_compared_as_the_library_does_and_another_gallery_changes_the_page(
    pair: tuple[str, str], real_run: Any, store: Path, open_view: Opened
) -> None:
    own = Gallery.open(real_run.folder / "galleries" / f"{real_run.run_id}.gallery")
    page = open_view("runs", runs=",".join(pair))
    assert not page.exception
    assert [page.selectbox(key=f"run {each}").value for each in "AB"] == list(pair)
    table, numbers = library_answer(own, Gallery.open(store / "noisy.gallery"), 0)
    before = shown_metrics(page)
    assert before["Mean reciprocal rank of B"] == f"{numbers.mrr[1]:.3f}"
    assert before["Recall at 1 of B"] == f"{numbers.recall_at_1[1]:.3f}"
    assert [before[name] for name in ("B earlier", "B later", "Same rank")] == [
        str(each) for each in (numbers.better, numbers.worse, numbers.equal)
    ]
    assert page.dataframe[1].value["query"].tolist() == table["query"].tolist()
    assert headings(page) == ["Both answers"]
    write_noisy(own, store / "noisy.gallery", seed=1)
    page.run()
    _, other = library_answer(own, Gallery.open(store / "noisy.gallery"), 0)
    assert shown_metrics(page)["Mean reciprocal rank of B"] == f"{other.mrr[1]:.3f}"
    assert other.mrr != numbers.mrr


def test_a_run_against_itself_is_no_comparison(pair: tuple[str, str], open_view: Opened) -> None:
    page = open_view("runs", runs=",".join(pair))
    page.selectbox(key="run B").select(pair[0]).run()
    assert not page.exception
    assert "the same run" in page.info[0].value


def test_a_link_says_which_query_is_looked_at(pair: tuple[str, str], open_view: Opened) -> None:
    first = open_view("runs", runs=",".join(pair))
    queries = first.dataframe[1].value
    last = queries.iloc[-1]
    page = open_view("runs", runs=",".join(pair), q=last["query"])
    words = " ".join(each.value for each in page.markdown)
    assert f"**A**: the right class first at rank {last['rank_a']}" in words
    assert f"**B**: the right class first at rank {last['rank_b']}" in words
    assert page.query_params["q"] in (last["query"], [last["query"]])


def test_a_gallery_that_is_gone_is_one_sentence_and_the_table_stays(
    pair: tuple[str, str], store: Path, open_view: Opened
) -> None:
    shutil.rmtree(store / "noisy.gallery")
    page = open_view("runs", runs=",".join(pair))
    assert not page.exception
    assert "expected a gallery at" in page.error[0].value
    assert len(page.dataframe[0].value) == 2


def test_galleries_of_other_items_are_one_sentence(pair: tuple[str, str], store: Path, open_view: Opened) -> None:
    gallery = Gallery.open(store / "noisy.gallery")
    gallery.delete(gallery.matrix().ids.tolist())
    page = open_view("runs", runs=",".join(pair))
    assert not page.exception
    assert "items in common" in page.error[0].value


def test_a_store_with_one_gallery_says_what_is_needed(explored: Any, open_view: Opened) -> None:
    page = open_view("runs", runs="")
    assert not page.exception
    page = open_view("runs", runs=f"{explored.run_id},{'0' * 32}")
    assert not page.exception
    assert "this store has 1" in page.info[0].value


# The table, links


def test_the_table_is_filtered_by_words_and_the_run_stays(store: Path, open_view: Opened) -> None:
    for name in ("birds", "fish"):
        with tracked_run("train", open_store(), name=name):
            pass
    page = open_view("runs", find="FISH")
    assert page.dataframe[0].value["name"].tolist() == ["fish"]
    page = open_view("runs", find="nothing of the kind")
    assert not page.exception
    assert len(page.dataframe[0].value) == 0


def make_sweep(store: Path) -> tuple[str, optuna.Study]:
    """A sweep's run with its study and a run a complete trial; newer than it a training."""
    journal = str(store / "sweeps.journal")
    study = optuna.create_study(study_name="birds", storage=open_storage(journal), direction="maximize")
    study.add_trials(training_study().get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))[:12])
    tags = {"optuna.study": "birds", "optuna.storage": journal}
    with tracked_run("sweep", open_store(), name="sweep birds", tags=tags) as parent:
        pass
    for trial in study.trials:
        tags = {"mlflow.parentRunId": parent.run_id}
        with tracked_run("trial", open_store(), name=f"trial-{trial.number}", tags=tags) as run:
            run.metrics({"optuna/value": trial.value or 0.0})
    with tracked_run("train", open_store(), name="newer"):
        pass
    return parent.run_id, study


def test_a_link_to_a_study_opens_its_sweep(store: Path, open_view: Opened) -> None:
    sweep, _ = make_sweep(store)
    page = open_view("runs", study="birds")
    assert page.selectbox(key="chosen_run").value == sweep
    assert headings(page) == ["Curves", "Study"]
    assert page.query_params["study"] in ("birds", ["birds"])
    page = open_view("runs", study="fish")
    assert "study fish: expected a sweep of it" in page.warning[0].value


# Trials


def test_a_click_on_the_winner_opens_the_matches_of_the_sweep_and_another_trial_offers_them(
    store: Path, open_view: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The click itself needs a browser; what it says is told here."""
    _, study = make_sweep(store)
    opened: list[str] = []
    monkeypatch.setattr(study_panel, "open_matches", opened.append)
    page = open_view("runs", study="birds")
    assert not page.exception
    assert page.selectbox(key="trial").value == study.best_trial.number
    assert "kept no twin of its own" in page.caption[-1].value  # nothing was logged for this toy's winner
    assert not [each for each in page.button if each.key == "open matches"]
    where = study_panel.trial_matches
    monkeypatch.setattr(
        study_panel,
        "trial_matches",
        lambda trial, sweep, *more: where(trial, with_twin(sweep), *more),
    )
    monkeypatch.setattr(study_panel, "picked_trial", lambda event: study.best_trial.number)
    open_view("runs", study="birds")
    assert len(opened) == 1
    other = next(trial.number for trial in study.trials if trial.number != study.best_trial.number)
    monkeypatch.setattr(study_panel, "picked_trial", lambda event: other)
    page = open_view("runs", study="birds")
    assert page.selectbox(key="trial").value == other
    assert f"the winner's, trial {study.best_trial.number}" in page.caption[-1].value
    assert len(opened) == 1
    page.button(key="open matches").click().run()
    assert len(opened) == 2


def with_twin(run: Any) -> Any:
    import dataclasses

    return dataclasses.replace(run, has_model=True, gallery="somewhere.gallery")


# A run that trains


def test_a_run_that_trains_is_drawn_further_with_every_look(store: Path, open_view: Opened) -> None:
    with tracked_run("train", open_store(), name="live") as run:
        run.store.client.log_param(run.run_id, "training.steps", "9")
        for step in (1, 2, 3):
            log(run, step, {"train/loss": 1 / step, "validation/score": 0.1 * step})
        page = open_view("runs", of=run.run_id)
        assert not page.exception
        assert [each for each in page.caption if "step 3 of 9" in each.value]
        assert not page.warning
        before = drawn_values(page)
        log(run, 8, {"train/loss": 0.125, "health/spread": 0.3})
        page.run()
        assert [each for each in page.caption if "step 8 of 9; last heard of" in each.value]
        assert len(drawn_values(page)) == len(before) + 1
    page.run()
    assert not page.exception
    assert not [each for each in page.caption if "Running for" in each.value]


def test_a_run_that_has_fallen_silent_is_said_to_be_perhaps_dead(store: Path, open_view: Opened) -> None:
    with tracked_run("train", open_store(), name="dead") as run:
        then = int(1000 * (time.time() - 7 * 60 - 5))
        points = [Metric("train/loss", 0.5, then, step) for step in (1, 2)]
        run.store.client.log_batch(run.run_id, points)
        page = open_view("runs", of=run.run_id)
    assert page.warning[0].value.startswith("No new step for 7 minutes")


def log(run: Any, step: int, values: dict[str, float]) -> None:
    """Writes metrics at once: the run itself gathers them for some seconds."""
    now = int(1000 * time.time())
    run.store.client.log_batch(run.run_id, [Metric(name, value, now, step) for name, value in values.items()])


def drawn_values(page: AppTest) -> list[float]:
    """What the loss chart draws."""
    import io

    import pyarrow as pa

    charts = page.get("vega_lite_chart")
    frames = [pa.ipc.open_stream(io.BytesIO(each.proto.datasets[0].data.data)).read_pandas() for each in charts]
    return [value for frame in frames if "train/loss" in set(frame["metric"]) for value in frame["value"].tolist()]


def test_matches_open_with_the_run_and_the_item(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    monkeypatch.setattr(matches_link.st, "switch_page", lambda page, query_params: calls.append((page, query_params)))
    matches_link.open_matches("r1", "item 7")
    assert Path(calls[0][0]).is_file()
    assert calls[0][1] == {"run": "r1", "id": "item 7"}
    assert two_runs.open_matches is matches_link.open_matches
