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
        assert main(["demo", "--config", "tiny.yaml", "--register", "glyphs"]) == 0
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
