"""One command, one MLflow run: started before the work, ended with what really happened.

    with tracked_run("train", store, name="glyphs") as run:
        run.parameters(experiment)
        ...

Leaving the block normally ends the run FINISHED, an exception FAILED, an interrupt (Ctrl-C, SIGTERM) KILLED.
"""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cross_modal_mlflow.metric_buffer import MetricBuffer, metric_name
from cross_modal_mlflow.store import Store, impatient

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from mlflow.data.dataset import Dataset

PROCESS = "cross_modal.process"  # tag: the process that runs, or ran, it
ERROR = "cross_modal.error"  # tag of a run that failed
LONGEST = 500  # characters of a parameter or a tag: MLflow takes 6000, nobody reads them
_AT_ONCE = 100  # parameters in one call of MLflow's API


class TrackedRun:
    """The door to one MLflow run; made by `tracked_run`.

    Attributes:
        store: The tracking store.
        run_id: The run's id.
        known: What an earlier process has logged, metric → step → value; None in the run's first one.
    """

    def __init__(self, store: Store, run_id: str) -> None:
        self.store, self.run_id = store, run_id
        self.known: Mapping[str, Mapping[int, float]] | None = None
        self._client = store.client
        self._buffer = MetricBuffer(store.client, run_id)

    def take_up(self) -> Mapping[str, Mapping[int, float]]:
        """Says that this process goes on with what another one began: nothing of that is logged a second time.

        Returns:
            What it has logged: metric → step → value.
        """
        names = self._client.get_run(self.run_id).data.metrics
        histories = {name: self._client.get_metric_history(self.run_id, name) for name in names}
        self.known = {name: {point.step: point.value for point in points} for name, points in histories.items()}
        return self.known

    def has_logged(self, name: str, step: int) -> bool:
        """Whether an earlier process has logged a metric at a step already."""
        return self.known is not None and step in self.known.get(metric_name(name), ())

    def parameters(self, values: object) -> None:
        """Logs a dataclass or a mapping as flat parameters, e.g. ``training.steps``."""
        from mlflow.entities import Param

        flat = flatten(dataclasses.asdict(values) if dataclasses.is_dataclass(values) else values)  # type: ignore[arg-type]
        rows = [Param(key, value) for key, value in flat.items()]
        for start in range(0, len(rows), _AT_ONCE):
            self._client.log_batch(self.run_id, params=rows[start : start + _AT_ONCE])

    def tags(self, values: Mapping[str, object]) -> None:
        """Sets tags."""
        for key, value in values.items():
            self._client.set_tag(self.run_id, key, shorten(str(value)))

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Logs metrics, soon: they are written in batches."""
        self._buffer.add({name: value for name, value in values.items() if not self.has_logged(name, step)}, step)

    def dataset(self, dataset: Dataset, context: str) -> None:
        """Links a dataset; the context is "train", "validation" or "test"."""
        import mlflow

        mlflow.log_input(dataset, context=context)

    def text(self, text: str, name: str) -> None:
        """Keeps a text as an artifact."""
        self._client.log_text(self.run_id, text, name)

    def document(self, content: Any, name: str) -> None:
        """Keeps JSON-able content as an artifact."""
        self.text(json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n", name)

    def figure(self, figure: Figure, name: str) -> None:
        """Keeps a figure as a picture; the name's suffix decides which kind."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / Path(name).name
            figure.savefig(path, dpi=140, bbox_inches="tight", facecolor="white")
            parent = str(Path(name).parent)
            self._client.log_artifact(self.run_id, str(path), None if parent == "." else parent)

    def artifact(self, path: Path) -> None:
        """Keeps a file as an artifact of its own name."""
        self._client.log_artifact(self.run_id, str(path))

    def table(self, columns: dict[str, list[Any]], name: str) -> None:
        """Keeps a table that MLflow shows as one; cells may be `mlflow.Image`."""
        if self.known is not None:  # MLflow adds rows to a table that is there, and fails where it is half written
            self._remove(name)
        self._client.log_table(self.run_id, columns, name)

    def _remove(self, name: str) -> None:
        """Removes an artifact, where there is one."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        folder = str(Path(name).parent)
        there = self._client.list_artifacts(self.run_id, None if folder == "." else folder)
        if name in [each.path for each in there]:
            get_artifact_repository(self._client.get_run(self.run_id).info.artifact_uri).delete_artifacts(name)

    def environment(self) -> None:
        """Keeps what the run ran on: machine, Python and every installed package's version."""
        packages = installed_packages()
        self.text(
            "\n".join(f"{name}=={version}" for name, version in packages.items()) + "\n", "environment/packages.txt"
        )
        machine = {
            "python": platform.python_version(),
            "platform": platform.platform(),
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
        }
        self.document({**machine, "packages": packages}, "environment/environment.json")

    def flush(self) -> None:
        """Writes the metrics that wait now: for whoever reads them back from the store."""
        self._buffer.flush()

    def close(self) -> str | None:
        """Writes the metrics that wait; returns a sentence about those that were lost."""
        return self._buffer.close()


@contextmanager
def tracked_run(
    command: str,
    store: Store,
    *,
    name: str | None = None,
    about: Mapping[str, str] | None = None,
    run_id: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> Iterator[TrackedRun]:
    """Starts a run, or takes one up again, and ends it FINISHED, FAILED or KILLED.

    Args:
        command: The command, kept as a tag.
        store: The tracking store, which has answered.
        name: The run's name; None leaves it to MLflow.
        about: Tags of this run and of every run that is started inside it, e.g. what `experiment_tags` gives.
        run_id: A run that goes on, RUNNING again; what it says of an earlier error is taken back. None starts one.
        tags: Tags of this run alone.

    Yields:
        The run.
    """
    import mlflow

    from cross_modal import __version__
    from cross_modal_mlflow.run_context import announced
    from cross_modal_mlflow.sweep.worker_process import worker_name

    with tracking_for(store.uri), announced({"version": __version__, **(about or {})}):
        own = {"cross_modal.command": command, "cross_modal.version": __version__, **(tags or {})}
        own |= {PROCESS: worker_name()}  # a run that says RUNNING may be one whose process has died
        active = mlflow.start_run(run_id, store.experiment_id, run_name=name, tags=own)
        run, status = TrackedRun(store, active.info.run_id), "FAILED"
        try:
            if ERROR in active.data.tags:
                store.client.delete_tag(run.run_id, ERROR)
            yield run
            status = "FINISHED"
        except KeyboardInterrupt:
            status = "KILLED"
            raise
        except BaseException as error:
            with suppress(Exception):  # the store may be what failed
                run.tags({ERROR: f"{type(error).__name__}: {error}"})
            raise
        finally:
            with nullcontext() if status == "FINISHED" else impatient():  # Ctrl-C must not wait for a dead server
                lost = run.close()
                if lost is not None:
                    print(f"note: {lost}", file=sys.stderr)
                with suppress(Exception):
                    mlflow.end_run(status)


@contextmanager
def tracking_for(uri: str) -> Iterator[None]:
    """MLflow's tracking URI for a while: it is global, and setting it also sets ``MLFLOW_TRACKING_URI``."""
    import mlflow

    before = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(None)  # type: ignore[arg-type]
        if before is not None:
            os.environ["MLFLOW_TRACKING_URI"] = before


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as flat text, long values cut.

    >>> flatten({"a": {"b": [1, 2], "c": None}, "d": 0.5})
    {'a.b': '[1, 2]', 'a.c': 'none', 'd': '0.5'}
    """
    flat: dict[str, str] = {}
    for key, value in values.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{path}.")
        else:
            flat[path] = (
                "none" if value is None else shorten(json.dumps(value) if isinstance(value, list) else str(value))
            )
    return flat


def shorten(text: str, longest: int = LONGEST) -> str:
    """A text cut to a length.

    >>> shorten("abcdef", 4)
    'abc…'
    """
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def installed_packages() -> dict[str, str]:
    """Name → version of every installed distribution, sorted."""
    from importlib.metadata import distributions

    found = {str(each.metadata["Name"]): each.version for each in distributions() if each.metadata["Name"]}
    return dict(sorted(found.items(), key=lambda pair: pair[0].lower()))
