import optuna
import pytest

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.sweep.settings import StudySettings

SETTINGS = StudySettings(
    kind="training", experiment={"data": "glyphs"}, space={}, targets=["score"], sampler="tpe", sampler_seed=0,
    pruner="median", trials=5, digest="ab", tracking_uri="sqlite:///x.db", experiment_id="1", run_id="r", version="0",
    constraints={"latency": 2.0},
)  # fmt: skip


def test_settings_are_read_back_from_the_study() -> None:
    study = optuna.create_study()
    SETTINGS.keep(study)
    assert StudySettings.of(study) == SETTINGS


def test_a_study_of_another_program_is_refused_in_one_line() -> None:
    study = optuna.create_study(study_name="theirs")
    with pytest.raises(CrossModalError, match="study theirs: expected one that `cross-modal sweep` made, found none"):
        StudySettings.of(study)
