"""A twin behind `predict`: what `mlflow models serve`, `mlflow models predict` and Spark call.

A request is a table (`request_rows`), its params choose the task, and it may bring its own support set. Everything that
a user can mend is an `MlflowException` with status 400 and one sentence; MLflow would send all else with a stack trace.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR

from cross_modal.encoders.saved_twin import load_twin, read_card
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError
from cross_modal.fewshot.mixture import Mixture
from cross_modal.verification.pair_scorer import PairScorer, load_pair_scorer
from cross_modal.verification.saved_calibration import SavedCalibration
from cross_modal_mlflow import served_tasks
from cross_modal_mlflow.logged_support import DESCRIPTION, LoggedSupport
from cross_modal_mlflow.request_embeddings import RequestEmbeddings, embed_rows
from cross_modal_mlflow.request_files import FileAccess
from cross_modal_mlflow.request_rows import RequestRows, read_rows
from cross_modal_mlflow.served_params import ServedParams
from cross_modal_mlflow.support_classifier import fit_support

if TYPE_CHECKING:
    import pandas as pd

    from cross_modal.fewshot.classifiers import FewShotClassifier

TWIN, SUPPORT = "twin", "support"  # folders of a model
# Spark sets these for its Python workers, and a server that MLflow starts in one inherits them.
_SPARK_WORKER = {"SPARK_REUSE_WORKER", "PYTHON_WORKER_FACTORY_PORT", "PYTHON_WORKER_FACTORY_SECRET"}
_logger = logging.getLogger(__name__)


class ServedTwin:
    """Answers requests.

    Args:
        twin: The twin.
        card: What was saved with it.
        support: The support set logged with it.
        files: Whether requests may name pictures by path or URL.
        scorer: What scores pairs; None takes the twin's metric.
        calibration: Thresholds and probabilities of pairs.
    """

    def __init__(
        self,
        twin: TwinEncoder,
        card: Mapping[str, Any] | None = None,
        support: LoggedSupport | None = None,
        files: FileAccess | None = None,
        scorer: PairScorer | None = None,
        calibration: SavedCalibration | None = None,
    ) -> None:
        self.twin = twin.eval()
        self.scorer, self.calibration = scorer or PairScorer(twin.metric), calibration
        self.support = support
        self.files = files or FileAccess()
        mixture = (card or {}).get("mixture")
        self._mixture = Mixture.from_dict(mixture) if mixture else None
        self._fitted: dict[str | None, FewShotClassifier] = {}  # on the logged support, by method
        if support is not None:
            self._classifier(support, None)

    @classmethod
    def load(cls, path: str | Path, model_config: Mapping[str, Any] | None = None) -> ServedTwin:
        """Reads a logged model.

        Args:
            path: The model's folder.
            model_config: ``allow_paths`` and ``allow_urls`` let requests name pictures.

        Raises:
            CrossModalError: The folder holds no twin, or a support set of another one.
        """
        folder = Path(path)
        twin, card = load_twin(folder / TWIN), read_card(folder / TWIN)["card"]
        device = os.environ.get("MLFLOW_DEFAULT_PREDICTION_DEVICE")  # MLflow's own, as in its PyTorch flavor
        support = None
        if (folder / SUPPORT / DESCRIPTION).is_file():
            support = LoggedSupport.load(folder / SUPPORT)
            support.check_twin(twin)
        return cls(
            twin.to(device) if device else twin,
            card,
            support,
            FileAccess.of(model_config),
            load_pair_scorer(folder / TWIN),
            SavedCalibration.load(folder / TWIN),
        )

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Answers a request.

        Args:
            model_input: Rows with `image`, `text`, `role`, `label`, `pair`; see `read_rows` for what else is taken.
            params: See `ServedParams`.

        Returns:
            A table; its columns depend on the task (`served_tasks`). In Spark it has no `row`.

        Raises:
            MlflowException: 400 with a sentence where the request is at fault, else 500.
        """
        try:
            return self._answer(model_input, ServedParams.of(params))
        except CrossModalError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from None
        except Exception as error:
            # MLflow would answer 400 and send the stack trace to whoever asked; it belongs in the server's log.
            _logger.exception("the request could not be answered")
            raise MlflowException(
                f"the model failed on this request: {type(error).__name__} (its log says more)", INTERNAL_ERROR
            ) from error

    def _answer(self, model_input: Any, params: ServedParams) -> pd.DataFrame:
        rows = read_rows(model_input, self.files)
        if not on_spark():
            return self._table(rows, params)
        _refuse_what_spark_parts(rows, params)
        # Numbers of rows in a batch mean nothing to Spark, and `array<double>` would take them for the embedding.
        return self._table(rows, params).drop(columns="row")

    def _table(self, rows: RequestRows, params: ServedParams) -> pd.DataFrame:
        metric = self.twin.metric
        if params.task in {"classify", "search"} and not rows.queries:
            raise CrossModalError('request: expected at least one query (a row without role "support"), found none')
        if params.task in {"classify", "search"} and self.support is None and not rows.support:
            raise CrossModalError(served_tasks.NO_SUPPORT)
        if params.task == "classify":
            for row in rows.support:
                if not (rows.labels[row] or rows.texts[row]):
                    raise CrossModalError(f"row {row}: label: expected the class of this support, found none")
        embeddings = embed_rows(self.twin, rows)
        if params.task == "embed":
            return served_tasks.embed(rows, embeddings)
        if params.task == "verify":
            return served_tasks.verify(rows, embeddings, self.scorer, self.calibration, params.threshold)
        support = self._support_of(rows, embeddings)
        if params.task == "search":
            return served_tasks.search(rows, embeddings, support, params.top, metric)
        return served_tasks.classify(rows, embeddings, self._classifier(support, params.method), params)

    def _support_of(self, rows: RequestRows, embeddings: RequestEmbeddings) -> LoggedSupport:
        """The request's own support, else the logged one."""
        support = served_tasks.request_support(rows, embeddings) or self.support
        if support is None:
            raise CrossModalError(served_tasks.NO_SUPPORT)
        return support

    def _classifier(self, support: LoggedSupport, method: str | None) -> FewShotClassifier:
        """Fits the method; on the logged support once, as Spark asks for it with every batch."""
        if support is self.support and method in self._fitted:
            return self._fitted[method]
        fitted = fit_support(
            support,
            method=method,
            metric=self.twin.metric,
            mixture=self._mixture,
            texts_only=self.twin.image is None,
        )
        if support is self.support:
            self._fitted[method] = fitted
        return fitted


def on_spark() -> bool:
    """Whether this is a Spark executor, or a server that one has started."""
    context = getattr(sys.modules.get("pyspark"), "TaskContext", None)
    if context is not None and context.get() is not None:
        return True
    return bool(_SPARK_WORKER & set(os.environ))


def _refuse_what_spark_parts(rows: RequestRows, params: ServedParams) -> None:
    """Spark cuts a table into batches as it likes: rows that need each other may never meet."""
    for row, role in enumerate(rows.roles):
        if role is not None:
            raise CrossModalError(
                f"row {row}: role: expected none in Spark, which may part support from query, found {role!r}; log the "
                "support set with the model"
            )
    if params.task == "verify":
        raise CrossModalError('params.task: expected no "verify" in Spark, which may part the rows of a pair')
