from pathlib import Path

import pytest

from cross_modal.configuration import Experiment
from cross_modal.errors import CrossModalError
from cross_modal_mlflow.command_line import main
from cross_modal_mlflow.training_options import TrainingOptions


def test_the_experiment_is_all_but_the_registration() -> None:
    found = TrainingOptions(data="photos", register="birds").experiment()
    assert type(found) is Experiment
    assert found == Experiment(data="photos")


def test_a_bad_name_is_refused() -> None:
    with pytest.raises(CrossModalError, match="--register"):
        TrainingOptions(register="a/b").experiment()


@pytest.mark.parametrize("command", ["demo", "train"])
def test_a_bad_name_costs_no_training(command: str, workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--register", "models:/glyphs"]) == 2
    assert "--register: expected a name" in capsys.readouterr().err
    assert not (workplace / "mlruns" / "artifacts").exists()


@pytest.mark.parametrize("command", ["demo", "train"])
def test_help_says_what_register_does(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    page = capsys.readouterr().out
    assert "--register TEXT" in page
    assert "champion" in page
