"""The evaluator ``few_shot`` of `mlflow.models.evaluate`: a thin entry point, the work is in `few_shot_evaluation`.

    mlflow.models.evaluate(
        "models:/birds@champion", table, targets="label", model_type="few-shot", evaluators="few_shot",
        evaluator_config={"ways": [5], "shots": [0, 1, 5], "episodes": 1000},
    )

It answers for its own model types alone, so that nobody else's evaluations change. The module is imported by MLflow:
the standard library and MLflow's own classes, no more.
"""

from __future__ import annotations

from typing import Any

from mlflow.models.evaluation.base import EvaluationResult, ModelEvaluator

MODEL_TYPES = ("few-shot", "retrieval", "verification")


class FewShotEvaluator(ModelEvaluator):
    """Episodes, K-shot, retrieval and verification, with 95 % intervals."""

    @classmethod
    def can_evaluate(cls, *, model_type: Any, evaluator_config: Any, **kwargs: Any) -> bool:
        """Whether the model type is one of ours: "few-shot", "retrieval" or "verification"."""
        return model_type in MODEL_TYPES

    def evaluate(
        self,
        *,
        model_type: str,
        dataset: Any,
        run_id: str,
        evaluator_config: dict[str, Any] | None,
        model: Any = None,
        extra_metrics: Any = None,
        custom_artifacts: Any = None,
        predictions: Any = None,
        model_id: str | None = None,
        **kwargs: Any,
    ) -> EvaluationResult:
        """Measures a model, or embeddings that the table brings.

        Args:
            model_type: "few-shot" measures all that the table allows, the others what they say.
            dataset: MLflow's `EvaluationDataset`.
            run_id: The run that artifacts and, without a `model_id`, metrics are logged to.
            evaluator_config: See `evaluation_settings.FewShotSettings`.
            model: A pyfunc model that answers ``task="embed"``; None takes the embeddings of the predictions column.
            extra_metrics: Not for this evaluator: it has no predictions to hand on; says so in a warning.
            custom_artifacts: Likewise.
            predictions: The model's output column that holds the embeddings; None finds it.
            model_id: The LoggedModel; MLflow then logs the metrics itself, to run and model, linked to the dataset.
            **kwargs: What later versions of MLflow may add.

        Returns:
            Metrics and artifacts.

        Raises:
            MlflowException: Settings, table or model do not allow it; one sentence.
        """
        import warnings

        from mlflow.exceptions import MlflowException

        from cross_modal.errors import CrossModalError
        from cross_modal_mlflow.few_shot_evaluation import evaluate_few_shot

        if extra_metrics or custom_artifacts:
            warnings.warn(
                "few_shot: extra_metrics and custom_artifacts are passed over, there are no predictions to give them",
                stacklevel=2,
            )
        try:
            return evaluate_few_shot(
                model=model,
                model_type=model_type,
                dataset=dataset,
                run_id=run_id,
                config=evaluator_config or {},
                output=predictions,
                logs_metrics=model_id is None,
            )
        except CrossModalError as error:
            raise MlflowException.invalid_parameter_value(f"few_shot: {error}") from error
