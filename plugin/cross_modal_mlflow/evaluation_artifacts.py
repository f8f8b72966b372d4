"""Artifacts of an evaluation: logged to its run, and handed back as MLflow's `EvaluationArtifact`.

Names are unique within a run: `log_table` appends to a table of the same name, and two evaluations in one run would
mix. The first keeps the plain names, later ones get a number. All lie at the top of the run, where
`EvaluationResult.tables` looks for them.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from mlflow.models import EvaluationArtifact

PREFIX, FIRST = "few_shot", "protocol"  # the one artifact that every evaluation has


class EvaluationArtifacts:
    """Logs artifacts to a run and remembers them.

    Args:
        run_id: The run.

    Attributes:
        found: Name → artifact, as `EvaluationResult` takes them.
    """

    def __init__(self, run_id: str) -> None:
        from mlflow import MlflowClient

        self.found: dict[str, EvaluationArtifact] = {}
        self._client, self._run_id = MlflowClient(), run_id
        run = self._client.get_run(run_id)
        self._root = str(run.info.artifact_uri)
        self._suffix = self._free([each.path for each in self._client.list_artifacts(run_id)])

    def document(self, content: Any, name: str) -> None:
        """Keeps JSON-able content."""
        from mlflow.models.evaluation.artifacts import JsonEvaluationArtifact

        text = json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n"
        file = self._file(name, "json")
        self._client.log_text(self._run_id, text, file)
        self.found[self._name(name)] = JsonEvaluationArtifact(self._uri(file), json.loads(text))

    def text(self, text: str, name: str, suffix: str = "txt") -> None:
        """Keeps a text."""
        from mlflow.models.evaluation.artifacts import TextEvaluationArtifact

        file = self._file(name, suffix)
        self._client.log_text(self._run_id, text, file)
        self.found[self._name(name)] = TextEvaluationArtifact(self._uri(file), text)

    def table(self, columns: dict[str, list[Any]], name: str) -> None:
        """Keeps a table that MLflow shows as one; cells may be `mlflow.Image`."""
        from mlflow.models.evaluation.artifacts import JsonEvaluationArtifact

        file = self._file(name, "json")
        self._client.log_table(self._run_id, columns, file)
        self.found[self._name(name)] = JsonEvaluationArtifact(self._uri(file), _content(columns))

    def figure(self, figure: Figure | None, name: str) -> None:
        """Keeps a figure as a picture; None is passed over."""
        from mlflow.models.evaluation.artifacts import ImageEvaluationArtifact

        if figure is None:
            return
        file = self._file(name, "png")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / file
            figure.savefig(path, dpi=140, bbox_inches="tight", facecolor="white")
            self._client.log_artifact(self._run_id, str(path))
            artifact = ImageEvaluationArtifact(self._uri(file))
            artifact._load(str(path))  # `EvaluationResult.save` saves what is in memory
        self.found[self._name(name)] = artifact

    @staticmethod
    def _free(taken: list[str]) -> str:
        number = 1
        while f"{PREFIX}_{FIRST}{_suffix(number)}.json" in taken:
            number += 1
        return _suffix(number)

    def _name(self, name: str) -> str:
        return f"{PREFIX}_{name}{self._suffix}"

    def _file(self, name: str, suffix: str) -> str:
        return f"{self._name(name)}.{suffix}"

    def _uri(self, file: str) -> str:
        from mlflow.utils.uri import append_to_uri_path

        return append_to_uri_path(self._root, file)


def _content(columns: dict[str, list[Any]]) -> dict[str, Any]:
    """A table as MLflow writes it, but for pictures, which lie in files of their own."""
    plain = (str, int, float, bool, type(None))
    rows = zip(*columns.values(), strict=True)
    return {"columns": list(columns), "data": [[c if isinstance(c, plain) else None for c in row] for row in rows]}


def _suffix(number: int) -> str:
    return "" if number == 1 else f"_{number}"
