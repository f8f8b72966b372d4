"""A tiny sweep over toy shapes, run by its command and looked at from all sides; then resumed, and by two workers."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from toys.shapes_on_disk import write_shapes

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.command_line import main
from cross_modal_mlflow.models import model_folder
from cross_modal_mlflow.store import open_store
from cross_modal_mlflow.sweep.storage import open_storage

SWEEP = ["sweep", "--config", "shapes.yaml", "--losses", "TripletMarginLoss", "CircleLoss", "--miners", "none"]


def failure(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(argv) == 2
    return capsys.readouterr().err.splitlines()[-1]


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Path]:
    """A working directory in which a sweep of six trials has run; its report is report.json."""
    folder = tmp_path_factory.mktemp("swept")
    (folder / "mlruns").mkdir()
    shutil.copy(empty_database, folder / "mlruns" / "mlflow.db")
    write_shapes(folder)
    before = Path.cwd()
    os.chdir(folder)
    try:
        words = [*SWEEP, "--trials", "6", "--study", "shapes", "--register", "shapes", "--json", "report.json"]
        assert main(words) == 0
        yield folder
    finally:
        os.chdir(before)


@pytest.fixture
def report(swept: Path) -> dict[str, Any]:
    return json.loads((swept / "report.json").read_text())


def study() -> optuna.Study:
    return optuna.load_study(study_name="shapes", storage=open_storage(None))


def test_every_trial_is_a_child_run_and_the_sweep_its_parent(swept: Path, report: dict[str, Any]) -> None:
    store = open_store()
    where = f"tags.mlflow.parentRunId = '{report['run_id']}'"
    children = store.client.search_runs([store.experiment_id], where)
    assert len(children) == 6 == len(study().trials)
    wanted = {"COMPLETE": "FINISHED", "PRUNED": "KILLED", "FAIL": "FAILED"}
    by_trial = {int(run.data.tags["optuna.trial"]): run for run in children}
    for trial in study().trials:
        run = by_trial[trial.number]
        assert run.info.status == wanted[trial.state.name]
        assert run.data.params["objective.loss.name"] in {"TripletMarginLoss", "CircleLoss"}
        if trial.state.name == "COMPLETE":
            assert run.data.metrics["optuna/value"] == trial.value
        steps = {row.step for row in store.client.get_metric_history(run.info.run_id, "optuna/intermediate_value")}
        assert steps == set(trial.intermediate_values)
    parent = store.client.get_run(report["run_id"])
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["optuna.study"] == "shapes"


def test_the_first_trial_has_the_settings_that_the_sweep_was_started_with(swept: Path) -> None:
    first = study().trials[0]
    assert first.user_attrs["role"] == "default"
    assert first.params["training.learning_rate"] == pytest.approx(2e-3)


def test_the_winner_is_a_model_of_the_parent_run_registered_and_measured_on_test_classes(
    swept: Path, report: dict[str, Any]
) -> None:
    folder = model_folder(f"runs:/{report['run_id']}/model", open_store)
    assert (folder / "model.safetensors").is_file()
    assert open_store().client.get_model_version_by_alias("shapes", "champion").run_id == report["run_id"]
    assert 0 <= report["metrics"]["episodes/5way_1shot/accuracy"] <= 1
    assert report["protocol"]["split"] == "test"
    assert report["protocol"]["best_trial"] == study().best_trial.number


def test_the_winner_is_compared_with_the_default_on_the_same_episodes(swept: Path, report: dict[str, Any]) -> None:
    metrics, setting = report["metrics"], "comparison/5way_1shot"
    if study().best_trial.number == 0:  # nothing to compare the default with
        assert not any(name.startswith("comparison/") for name in metrics)
        return
    assert metrics[f"{setting}/best"] == pytest.approx(metrics["episodes/5way_1shot/accuracy"])
    assert metrics[f"{setting}/difference"] == pytest.approx(metrics[f"{setting}/best"] - metrics[f"{setting}/default"])
    assert metrics[f"{setting}/difference/ci95"] > 0


def test_best_config_is_run_by_train_and_gives_the_same_twin(swept: Path, report: dict[str, Any]) -> None:
    client = open_store().client
    config = client.download_artifacts(report["run_id"], "best_config.yaml")
    assert yaml.safe_load(Path(config).read_text())["objective"]["loss"]["name"] in {"TripletMarginLoss", "CircleLoss"}
    assert main(["train", "--config", config, "--json", "again.json"]) == 0
    again = json.loads(Path("again.json").read_text())
    scores = client.get_metric_history(again["run_id"], "validation/score")
    assert max(row.value for row in scores) == pytest.approx(study().best_value, abs=1e-6)
    for name, value in again["metrics"].items():
        assert report["metrics"][name] == pytest.approx(value, abs=1e-6), name


def test_the_study_has_figures_in_the_parent_run(swept: Path, report: dict[str, Any]) -> None:
    names = {Path(each.path).name for each in open_store().client.list_artifacts(report["run_id"], "study")}
    assert {"margins.png", "importances.png", "history.png", "timeline.png", "slice.png"} <= names


def test_trials_never_see_the_test_split(swept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cross_modal.data.sources import read_items
    from cross_modal_mlflow.sweep.objective import TrainingObjective
    from cross_modal_mlflow.sweep.settings import StudySettings

    settings = StudySettings.of(study())
    items = read_items(settings.experiment["data"])
    assert "test" in set(items.splits)
    assert set(TrainingObjective(settings, study(), items).items.splits) == {"train", "validation"}


def test_a_resumed_study_goes_on_to_more_trials_in_the_same_run(swept: Path, report: dict[str, Any]) -> None:
    assert main(["sweep", "--study", "shapes", "--resume", "--trials", "8", "--json", "resumed.json"]) == 0
    resumed = json.loads(Path("resumed.json").read_text())
    assert resumed["run_id"] == report["run_id"]
    folder = model_folder(f"runs:/{report['run_id']}/model", open_store)  # the newest of the two
    card = json.loads((folder / "twin.json").read_text())["card"]
    assert card["metrics"] == resumed["metrics"]
    assert [trial.number for trial in study().trials] == list(range(8))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--study", "shapes"], "--study shapes: expected a new name, found a study of that name; --resume goes on"),
        (["--study", "shaped", "--resume"], "did you mean shapes?"),
        (["--study", "shapes", "--resume", "--training.seed", "9"], "found --training.seed 9"),
        (["--study", "shapes", "--resume", "--targets", "eer"], "found --targets ['eer'] for ['score']"),
        (["--study", "shapes", "--resume", "--losses", "SupConLoss"], "found --losses ['SupConLoss']"),
        (["--study", "shapes", "--resume", "--max-latency", "1"], "found --max_latency 1.0"),
        (["--study", "../../x"], "--study: expected letters, digits"),
        (["--losses", "TripletLoss"], "TripletLoss"),
        (["--miners", "HardMiner"], "HardMiner"),
        (["--space", "nothing.yaml"], "nothing.yaml: expected a YAML file"),
        (["--storage", "mlruns/mlflow.db"], "found the database of MLflow's tracking store"),
        (["--storage", "sqlite:///x.db"], "expected a file or postgresql://"),
        (["--warm-start", "nowhere"], "--warm-start nowhere: expected the name of a study"),
        (["--model", "nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_done_is_one_line_before_the_first_trial(
    swept: Path, words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = optuna.get_all_study_names(open_storage(None))
    config = [] if "--resume" in words else ["--config", "shapes.yaml"]
    assert says in failure(["sweep", *config, *words], capsys)
    assert optuna.get_all_study_names(open_storage(None)) == before


def test_a_space_of_ones_own(swept: Path, tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text(
        "objective.loss.name: [TripletMarginLoss]\n"
        "objective.loss.arguments.margin: {low: 0.05, high: 0.2, log: true}\n"
        "training.learning_rate: 0.001\n"
    )
    words = ["--config", "shapes.yaml", "--space", str(tmp_path / "space.yaml"), "--study", "own", "--trials", "3"]
    assert main(["sweep", *words, "--targets", "score", "seconds", "--max-memory", "100"]) == 0
    own = optuna.load_study(study_name="own", storage=open_storage(None))
    assert all(0.05 <= trial.params["TripletMarginLoss.margin"] <= 0.2 for trial in own.trials)
    assert [len(trial.values) for trial in own.trials] == [2, 2, 2]


def test_heads_are_tuned_on_a_models_own_embeddings(
    swept: Path, report: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = f"runs:/{report['run_id']}/model"
    words = ["--config", "shapes.yaml", "--model", model, "--pruner", "wilcoxon", "--study", "heads", "--trials", "12"]
    assert main(["sweep", *words, "--json", "heads.json"]) == 0
    heads = json.loads(Path("heads.json").read_text())
    assert heads["metrics"]["sweep/trials"] == 12
    assert "comparison/5way_1shot/difference" in heads["metrics"]
    best = Path(open_store().client.download_artifacts(heads["run_id"], "best_head.json"))
    assert set(json.loads(best.read_text())) == {"method", "parameters"}
    monkeypatch.chdir(tmp_path)  # a worker finds the model where the sweep did, wherever it stands
    assert main(["worker", "--study", "heads", "--storage", str(swept / "mlruns" / "sweeps.journal")]) == 0
    assert not list(tmp_path.iterdir())


def start(folder: Path, *words: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "cross_modal_mlflow", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


@pytest.mark.slow
def test_two_workers_one_killed_then_ctrl_c_then_resume_and_nothing_is_lost(workplace: Path) -> None:
    write_shapes(workplace)
    budget = ["--training.steps", "30", "--training.validate-every", "10"]
    sweep = start(workplace, *SWEEP, *budget, "--trials", "8", "--workers", "2", "--study", "hard", "--pruner", "none")
    journal, until = workplace / "mlruns" / "sweeps.journal", time.monotonic() + 120

    def trials() -> list[optuna.trial.FrozenTrial]:
        try:
            return optuna.load_study(study_name="hard", storage=open_storage(str(journal))).trials
        except (KeyError, OSError, CrossModalError):  # no such study, file or folder yet
            return []

    def wait_for(enough: Any) -> None:
        while not enough():
            assert sweep.poll() is None, sweep.stdout and sweep.stdout.read()
            assert time.monotonic() < until
            time.sleep(0.05)

    def running() -> list[optuna.trial.FrozenTrial]:
        return [trial for trial in trials() if trial.state.name == "RUNNING" and "worker" in trial.user_attrs]

    wait_for(lambda: len(running()) == 2)
    victim = running()[0]
    os.kill(int(victim.user_attrs["worker"].split(":")[1]), signal.SIGKILL)
    wait_for(lambda: any(trial.user_attrs.get("retry_of") == victim.number for trial in trials()))
    wait_for(lambda: len(running()) == 2)
    sweep.send_signal(signal.SIGINT)
    said = sweep.communicate(timeout=60)[0]
    assert sweep.returncode == 130
    assert "cross-modal sweep --study hard --workers 2 --resume" in said
    assert not running()

    again = start(workplace, "sweep", "--study", "hard", "--resume", "--workers", "2", "--json", "report.json")
    said = again.communicate(timeout=120)[0]
    assert again.returncode == 0, said
    counted = [trial for trial in trials() if trial.state.name == "COMPLETE" or "error" in trial.user_attrs]
    assert len(counted) == 8
    store = open_store()
    runs = [trial.user_attrs["mlflow_run_id"] for trial in counted]
    assert len(set(runs)) == 8
    assert all(store.client.get_run(run).info.status in {"FINISHED", "FAILED"} for run in runs)
    assert victim.user_attrs.get("mlflow_run_id") in {None, *runs}


@pytest.mark.slow
def test_a_worker_joins_from_another_folder(workplace: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    write_shapes(workplace)
    journal = str(workplace / "shared.journal")
    sweep = start(workplace, *SWEEP, "--trials", "8", "--study", "joint", "--storage", journal)
    until = time.monotonic() + 60
    while not Path(journal).exists() or "joint" not in Path(journal).read_text():
        assert sweep.poll() is None, sweep.stdout and sweep.stdout.read()
        assert time.monotonic() < until
        time.sleep(0.1)
    time.sleep(0.5)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    worker = start(elsewhere, "worker", "--study", "joint", "--storage", journal)
    said = worker.communicate(timeout=90)[0]
    assert worker.returncode == 0, said
    assert "worker of joint: " in said
    said = sweep.communicate(timeout=90)[0]
    assert sweep.returncode == 0, said
    assert not list(elsewhere.iterdir())  # a worker writes where the sweep does, and nowhere else


def test_a_worker_without_a_study_is_one_line(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--study: expected the name of a study, found nothing" in failure(["worker"], capsys)
    assert "found none of that name; there is none" in failure(["worker", "--study", "x"], capsys)
    assert "--threads: expected 0 or more" in failure(["worker", "--study", "x", "--threads=-1"], capsys)
