"""The evaluator `few_shot` as MLflow calls it, with logged twins, functions and plain tables."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.models import EvaluationResult, MetricThreshold
from mlflow.models.model import ModelInfo
from toys.colours import ColourModel, colour_table
from toys.tiny_twin import tiny_twin

import cross_modal_mlflow
from cross_modal_mlflow.dataset import from_few_shot
from cross_modal_mlflow.evaluator import FewShotEvaluator

pytestmark = pytest.mark.slow
QUICK = {"ways": 5, "shots": [1], "episodes": 20, "queries": 2, "pairs": 60, "resamples": 100, "kshot": []}


@dataclass
class Logged:
    """A store with a logged twin, evaluated once."""

    info: ModelInfo
    result: EvaluationResult


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Logged]:
    folder = tmp_path_factory.mktemp("evaluated")
    shutil.copy(empty_database, folder / "mlflow.db")
    before = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("MLFLOW_")}
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    mlflow.create_experiment("evaluated", artifact_location=str(folder / "artifacts"))
    mlflow.set_experiment("evaluated")
    with mlflow.start_run():
        info = cross_modal_mlflow.log_model(tiny_twin(), registered_model_name="colours")
    mlflow.MlflowClient().set_registered_model_alias("colours", "champion", 1)
    yield Logged(info, _evaluate(info.model_uri, from_few_shot(colour_table(), name="colours")))
    mlflow.set_tracking_uri(None)  # type: ignore[arg-type]
    os.environ.update(before)


def _evaluate(model: object, data: object, model_type: str = "few-shot", **arguments: object) -> EvaluationResult:
    with mlflow.start_run():
        return mlflow.models.evaluate(
            model,
            data,
            model_type=model_type,
            **{"evaluators": "few_shot", "evaluator_config": QUICK, **arguments},  # type: ignore[arg-type]
        )


def _run_of(result: EvaluationResult) -> mlflow.entities.Run:
    (artifact, *_) = result.artifacts.values()
    return mlflow.get_run(Path(artifact.uri).parts[-3])


def test_a_logged_model_gets_each_metric_once_linked_to_the_dataset(logged: Logged) -> None:
    client, run = mlflow.MlflowClient(), _run_of(logged.result)
    of_model = {metric.key: metric for metric in mlflow.get_logged_model(logged.info.model_id).metrics}
    assert set(run.data.metrics) == set(logged.result.metrics) <= set(of_model)
    for name in run.data.metrics:
        assert len(client.get_metric_history(run.info.run_id, name)) == 1
        assert of_model[name].dataset_name == "colours"
    (dataset,) = run.inputs.dataset_inputs
    assert dataset.dataset.digest == of_model["verification/eer"].dataset_digest


def test_an_alias_is_linked_to_its_model_and_dataset_too(logged: Logged) -> None:
    result = _evaluate("models:/colours@champion", from_few_shot(colour_table(5, 4), name="alias"))
    of_model = mlflow.get_logged_model(logged.info.model_id).metrics
    found = {metric.key: metric.value for metric in of_model if metric.dataset_name == "alias"}
    assert found == result.metrics == _run_of(result).data.metrics


def test_a_uri_a_loaded_model_and_a_plain_table_are_measured_alike(logged: Logged) -> None:
    loaded = mlflow.pyfunc.load_model(logged.info.model_uri)
    again = _evaluate(loaded, colour_table(), targets="label")
    assert again.metrics == logged.result.metrics


def test_thresholds_can_be_validated(logged: Logged) -> None:
    name = "episodes/5way_1shot/accuracy"
    fair = {name: MetricThreshold(threshold=0.0, greater_is_better=True)}
    mlflow.validate_evaluation_results(candidate_result=logged.result, validation_thresholds=fair)
    strict = {name: MetricThreshold(threshold=1.1, greater_is_better=True)}
    with pytest.raises(MlflowException, match=name):
        mlflow.validate_evaluation_results(candidate_result=logged.result, validation_thresholds=strict)


def test_tables_come_with_the_result(logged: Logged) -> None:
    table = logged.result.tables["few_shot_metrics"].set_index("metric")
    name = "episodes/5way_1shot/accuracy"
    assert table.loc[name, "value"] == pytest.approx(logged.result.metrics[name])
    assert table.loc[name, "± 95 %"] == pytest.approx(logged.result.metrics[f"{name}/ci95"])


def test_a_function_that_embeds_is_a_model(logged: Logged) -> None:
    def embed(frame: pd.DataFrame) -> pd.DataFrame:
        return ColourModel().predict(frame, {"task": "embed"})

    result = _evaluate(embed, colour_table(), targets="label")
    assert result.metrics["episodes/5way_1shot/accuracy"] == 1


def test_embeddings_need_no_model(logged: Logged) -> None:
    table = colour_table()
    table["features"] = ColourModel().predict(table[["image"]], {"task": "embed"})["embedding"]
    result = _evaluate(None, table, targets="label", predictions="features")
    assert result.metrics["episodes/5way_1shot/accuracy"] == 1


def test_pairs_are_verified(logged: Logged) -> None:
    table = colour_table(2, 4)[["image"]].assign(pair=[0, 0, 1, 2, 2, 1, 3, 3], same=[1, 1, 0, 1, 1, 0, 1, 1])
    result = _evaluate(logged.info.model_uri, table, "verification", targets="same")
    assert result.metrics["verification/pairs"] == 4
    assert {name.split("/")[0] for name in result.metrics} == {"verification"}


def test_a_list_of_evaluators_and_none_at_all_find_it(logged: Logged) -> None:
    table = colour_table(5, 4)
    listed = _evaluate(
        logged.info.model_uri, table, targets="label", evaluators=["few_shot"], evaluator_config={"few_shot": QUICK}
    )
    found = _evaluate(logged.info.model_uri, table, targets="label", evaluators=None)
    assert listed.metrics == found.metrics


def test_what_the_user_can_mend_is_one_sentence(logged: Logged) -> None:
    with pytest.raises(
        MlflowException, match=r"^few_shot: evaluator_config: unknown 'way' \(did you mean 'ways'"
    ) as caught:
        _evaluate(logged.info.model_uri, colour_table(), targets="label", evaluator_config={"way": 5})
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"


def test_metrics_that_it_cannot_compute_are_not_swallowed_in_silence(logged: Logged) -> None:
    metric = mlflow.models.make_metric(eval_fn=lambda *_: 1.0, greater_is_better=True, name="own")
    with pytest.warns(UserWarning, match="extra_metrics and custom_artifacts are passed over"):
        _evaluate(logged.info.model_uri, colour_table(5, 4), targets="label", extra_metrics=[metric])


@pytest.mark.parametrize("model_type", ["classifier", "regressor", "retriever", "question-answering", "text", None])
def test_it_answers_for_nobody_elses_models(model_type: str | None) -> None:
    assert not FewShotEvaluator.can_evaluate(model_type=model_type, evaluator_config={})


@pytest.mark.parametrize("model_type", ["few-shot", "retrieval", "verification"])
def test_it_answers_for_its_own(model_type: str) -> None:
    assert FewShotEvaluator.can_evaluate(model_type=model_type, evaluator_config={})
