from pathlib import Path

import pytest
from mlflow import MlflowClient

from cross_modal_mlflow.command_line import main
from cross_modal_mlflow.commands.demo import BOTH, ONE_SHOT, ZERO_SHOT, goals

TINY = """\
twin:
  width: 32
  image: {widths: [8, 8, 8], pools: 3}
  text: {width: 32, layers: 1, heads: 2}
batch: {classes: 16}
training: {steps: 2, validate_every: 2, warm_up: 1}
evaluation: {ways: [5], shots: [0, 1], episodes: 20}
"""


def test_goals_compare_both_with_the_better_of_the_two() -> None:
    found = goals({ONE_SHOT: 0.98, ZERO_SHOT: 0.7, BOTH: 0.985})
    assert [found[name].reached for name in (ONE_SHOT, ZERO_SHOT, BOTH)] == [True, False, True]
    assert not goals({ONE_SHOT: 0.98, ZERO_SHOT: 0.99, BOTH: 0.985})[BOTH].reached


def test_goals_without_their_metrics_are_left_out() -> None:
    assert goals({}) == {}


@pytest.mark.slow
def test_register_makes_the_first_twin_the_champion_and_says_how_to_serve_it(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (workplace / "tiny.yaml").write_text(TINY)
    for _ in range(2):
        assert main(["demo", "--config", "tiny.yaml", "--register", "glyphs", "--study", "false"]) == 0
    shown = capsys.readouterr().out
    uri = f"sqlite:///{workplace}/mlruns/mlflow.db"
    assert "registered glyphs version 1, which is the champion: the first one" in shown
    assert "registered glyphs version 2, which is not the champion: version 1 stays" in shown
    lines = [line.strip() for line in shown.splitlines()]
    serve = lines.index("mlflow models serve -m models:/glyphs@champion --env-manager local")
    assert lines[serve - 1] == f"export MLFLOW_TRACKING_URI={uri}"
    client = MlflowClient(tracking_uri=uri)
    version = client.get_model_version_by_alias("glyphs", "champion")
    assert version.version in {1, "1"}
    run = client.get_run(version.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags["cross_modal.trunk"] == "conv4 transformer"
    assert float(version.tags["cross_modal.score"]) == run.data.metrics[version.tags["cross_modal.metric"]]
    assert version.source == f"models:/{run.outputs.model_outputs[0].model_id}"


@pytest.mark.slow
def test_the_demo_leaves_a_study_of_heads_and_what_the_explorer_shows(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (workplace / "tiny.yaml").write_text(TINY)
    assert main(["demo", "--config", "tiny.yaml"]) == 0
    shown = capsys.readouterr().out
    client = MlflowClient(tracking_uri=f"sqlite:///{workplace}/mlruns/mlflow.db")
    runs = client.search_runs(["0", *(each.experiment_id for each in client.search_experiments())])
    (demo,) = [run for run in runs if run.data.tags.get("cross_modal.command") == "demo"]
    (study,) = [run for run in runs if run.data.tags.get("cross_modal.command") == "sweep"]
    assert f"study demo-{demo.info.run_id[:8]}: 8 few-shot heads on the twin" in shown
    assert study.info.status == "FINISHED"
    assert sum(run.data.tags.get("mlflow.parentRunId") == study.info.run_id for run in runs) == 8
    assert Path(demo.data.tags["cross_modal.gallery"]).is_dir()


@pytest.mark.slow
def test_study_and_explorer_can_be_left_out(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (workplace / "tiny.yaml").write_text(TINY)
    assert main(["demo", "--config", "tiny.yaml", "--study", "false", "--explorer", "false"]) == 0
    assert "few-shot heads" not in capsys.readouterr().out
    assert not (workplace / "mlruns" / "galleries").exists()
    assert not (workplace / "mlruns" / "sweeps.journal").exists()


def test_a_study_that_fails_costs_the_demo_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    from cross_modal.configuration import Experiment
    from cross_modal.errors import CrossModalError
    from cross_modal_mlflow.demo_study import run_demo_study
    from cross_modal_mlflow.sweep import coordinate

    def fails(options: object, console: object) -> None:
        raise CrossModalError("mlruns/sweeps.journal: expected a journal, found a folder")

    monkeypatch.setattr(coordinate, "sweep", fails)
    said = run_demo_study(Experiment(data="glyphs"), "0123456789abcdef", Console(quiet=True))
    assert said == "note: no study of heads: mlruns/sweeps.journal: expected a journal, found a folder"
