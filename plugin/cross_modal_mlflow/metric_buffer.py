"""Metrics go to the store in batches, from a thread of their own: a training step never waits for a database."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

BATCH = 1000  # most metrics in one call of MLflow's API
LAST_WAIT = 30.0  # seconds for a write that hangs when all is over


class MetricBuffer:
    """Collects metrics and writes them every few seconds.

    A store that fails for a while gets the same metrics again with the next batch; what failed in the end is reported
    once, by `close`.

    Args:
        client: The MLflow client.
        run_id: The run.
        seconds: Time between two batches.
    """

    def __init__(self, client: MlflowClient, run_id: str, seconds: float = 5.0) -> None:
        self._client, self._run_id, self._seconds = client, run_id, seconds
        self._waiting: list[Metric] = []
        self._lock, self._writing = threading.Lock(), threading.Lock()
        self._closed = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._work, name="mlflow-metrics", daemon=True)
        self._thread.start()

    def add(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Takes the metrics of one step; returns at once."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        fresh = [Metric(metric_name(name), float(value), now, step) for name, value in metrics.items()]
        with self._lock:
            self._waiting.extend(fresh)

    def flush(self) -> None:
        """Writes all that waits; an error is kept, and the metrics wait on."""
        with self._writing:
            while self._waiting:
                with self._lock:
                    batch = self._waiting[:BATCH]
                try:
                    self._client.log_batch(self._run_id, metrics=batch, synchronous=True)
                except Exception as error:  # whatever the store or its driver raises: training goes on
                    self._error = error
                    return
                with self._lock:
                    del self._waiting[: len(batch)]
            self._error = None

    def close(self) -> str | None:
        """Writes the rest and ends the thread.

        Returns:
            None, or one sentence about metrics that were lost.
        """
        self._closed.set()
        self._thread.join(timeout=LAST_WAIT)
        if not self._thread.is_alive():
            self.flush()
        if not self._waiting:
            return None
        reason = " ".join(str(self._error or "it did not answer").split())[:200]
        return f"{len(self._waiting)} metrics could not be written to the tracking store: {reason}"

    def _work(self) -> None:
        while not self._closed.wait(self._seconds):
            self.flush()


def metric_name(name: str) -> str:
    """A name that MLflow takes: letters, digits, ``_ - . / :`` and spaces.

    >>> metric_name("recall@1 (mean)")
    'recall_1 _mean_'
    """
    return re.sub(r"[^\w\-./: ]", "_", name)
