"""What there is to explore: runs with a twin, read from MLflow and never written to.

Nothing is created by looking: where the local store does not exist yet, there are simply no runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.models import model_folder
from cross_modal_mlflow.store import Store, impatient, knock, quiet, sqlite_file, tracking_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

GALLERY = "cross_modal.gallery"  # tag: where the run's gallery lies
COMMAND = "cross_modal.command"
VERSION = "cross_modal.version"
PARENT = "mlflow.parentRunId"
MODEL = "model"
MOST_RUNS, MOST_MODELS = 500, 100


@dataclass(frozen=True)
class RunFacts:
    """One run.

    Attributes:
        run_id: Its id.
        name: Its name.
        command: The command that made it: "demo", "train", "evaluate", "sweep", "trial".
        status: RUNNING, FINISHED, FAILED or KILLED.
        started: Milliseconds since 1970.
        data: The source that it was about.
        metrics: Name → last value.
        parameters: Name → value.
        gallery: Where its gallery lies, or None.
        has_model: It logged a twin.
        version: The version of this package that made it.
        parent: The run that it is a trial of, or None.
        registered: The registered models that are its twin, e.g. "birds v2 @champion".
    """

    run_id: str
    name: str
    command: str
    status: str
    started: int
    data: str
    metrics: dict[str, float] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    gallery: str | None = None
    has_model: bool = False
    version: str = ""
    parent: str | None = None
    registered: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What people pick it by."""
        return " · ".join([self.name, self.run_id[:8], *self.registered])

    @classmethod
    def of(cls, run: Run) -> RunFacts:
        """The facts of MLflow's run."""
        tags, outputs = run.data.tags, getattr(run, "outputs", None)
        return cls(
            run_id=run.info.run_id,
            name=run.info.run_name or run.info.run_id[:8],
            command=tags.get(COMMAND, ""),
            status=run.info.status,
            started=int(run.info.start_time or 0),
            data=tags.get("cross_modal.data", ""),
            metrics=dict(run.data.metrics),
            parameters=dict(run.data.params),
            gallery=tags.get(GALLERY),
            has_model=bool(outputs and outputs.model_outputs),
            version=tags.get(VERSION, ""),
            parent=tags.get(PARENT),
        )


class Catalogue:
    """The runs of a tracking store.

    Args:
        uri: The tracking URI; None takes ``MLFLOW_TRACKING_URI``, else the local ``mlruns``.
    """

    def __init__(self, uri: str | None = None) -> None:
        self.uri = uri or tracking_uri()

    @property
    def exists(self) -> bool:
        """False where the store is a local file that nobody has made yet."""
        path = sqlite_file(self.uri)
        return path is None or path.is_file()

    @cached_property
    def client(self) -> MlflowClient:
        """A client of the store, which has answered."""
        from mlflow import MlflowClient

        quiet()
        with self._answering():
            knock(self.uri)
            client = MlflowClient(tracking_uri=self.uri)
            client.search_experiments(max_results=1)
            return client

    def runs(self, commands: tuple[str, ...] = ("demo", "train", "sweep")) -> list[RunFacts]:
        """The runs of some commands, newest first.

        Raises:
            CrossModalError: The store does not answer.
        """
        if not self.exists:
            return []
        with self._answering():
            experiments = [each.experiment_id for each in self.client.search_experiments()]
            found = self.client.search_runs(
                experiments,
                f"tags.`{COMMAND}` != 'trial'",  # trials are asked for by their study: they would fill the list
                max_results=MOST_RUNS,
                order_by=["attributes.start_time DESC"],
            )
            registered = self._registered()
        facts = [replace(RunFacts.of(run), registered=registered.get(run.info.run_id, ())) for run in found]
        return [each for each in facts if each.command in commands]

    def _registered(self) -> dict[str, tuple[str, ...]]:
        """Run → the registered models that are its twin, the newest version of each name; a store may have none."""
        from mlflow.exceptions import MlflowException

        found: dict[str, list[str]] = {}
        try:
            models = self.client.search_registered_models(max_results=MOST_MODELS)
            for model in models:
                aliases: dict[str, list[str]] = {}
                for alias, version in (model.aliases or {}).items():
                    aliases.setdefault(str(version), []).append(f"@{alias}")
                for each in self.client.search_model_versions(f"name = '{model.name.replace(chr(39), '')}'"):
                    words = [f"{each.name} v{each.version}", *sorted(aliases.get(str(each.version), []))]
                    found.setdefault(str(each.run_id), []).append(" ".join(words))
        except MlflowException:  # a store of runs alone, or one that lets nobody look at its models
            return {}
        return {run: tuple(names) for run, names in found.items()}

    def run(self, run_id: str) -> RunFacts:
        """One run.

        Raises:
            CrossModalError: There is none of this id, or the store does not answer.
        """
        from mlflow.exceptions import MlflowException

        if not self.exists:
            raise CrossModalError(f"run {run_id}: expected a run in {self.uri}, found no store there")
        try:
            with impatient():
                return RunFacts.of(self.client.get_run(run_id))
        except MlflowException as error:
            raise CrossModalError(f"run {run_id}: expected a run in {self.uri}, found none") from error

    def model_folder(self, run: RunFacts) -> Path:
        """The folder of a run's twin.

        Raises:
            CrossModalError: The run has no twin, or it is gone.
        """
        return model_folder(f"runs:/{run.run_id}/{MODEL}", lambda: Store(self.uri, "", self.client))

    def artifact(self, run_id: str, path: str) -> Path | None:
        """A run's artifact as a file on this machine; None where the run has none of that name."""
        from mlflow.exceptions import MlflowException

        try:
            with impatient():
                found = Path(self.client.download_artifacts(run_id, path))
        except (MlflowException, OSError):
            return None
        return found if found.exists() else None

    def history(self, run_id: str, metric: str) -> list[tuple[int, float]]:
        """(step, value) of a metric."""
        return [(step, value) for step, value, _ in self.points(run_id, metric)]

    def points(self, run_id: str, metric: str) -> list[tuple[int, float, int]]:
        """(step, value, milliseconds since 1970) of a metric."""
        with self._answering():
            found = self.client.get_metric_history(run_id, metric)
        return [(point.step, point.value, point.timestamp) for point in found]

    def children(self, run_id: str) -> list[RunFacts]:
        """The runs started inside a run: the trials of a sweep."""
        inside = f"tags.`{PARENT}` = '{_plain(run_id)}'"
        with self._answering():
            experiment = self.client.get_run(run_id).info.experiment_id
            found = self.client.search_runs([experiment], inside, max_results=MOST_RUNS)
        return [RunFacts.of(run) for run in found]

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """A store that does not answer is one line."""
        from mlflow.exceptions import MlflowException

        try:
            with impatient():
                yield
        except CrossModalError:
            raise
        except (MlflowException, OSError) as error:
            raise _silent(self.uri, error) from error
        except Exception as error:
            if type(error).__module__.partition(".")[0] in {"sqlalchemy", "sqlite3", "alembic", "requests", "urllib3"}:
                raise _silent(self.uri, error) from error
            raise


def _silent(uri: str, error: Exception) -> CrossModalError:
    reason = " ".join(str(error).split())[:160]
    return CrossModalError(f"tracking store {uri}: expected an answer, found: {reason}")


def _plain(run_id: str) -> str:
    """A run id that cannot leave its quotes."""
    if not run_id.isalnum():
        raise CrossModalError(f"run {run_id!r}: expected an id of letters and digits, found other characters")
    return run_id


def described(value: Any) -> str:
    """A number as people read it.

    >>> described(0.98765), described(12.0), described(None)
    ('0.9877', '12', '–')
    """
    if value is None:
        return "–"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.4g}"
