"""The workers of this machine: one process each, with its share of the cores and a log of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.sweep.options import STORAGE

LEAVING = 30.0  # seconds that an interrupted worker gets to tell its trial
AGAIN = 3  # workers that are started anew in place of killed ones


class WorkerProcesses:
    """Starts workers, watches them, ends them; use it as a context manager.

    Args:
        study: The study's name.
        storage: Its storage as an argument: it goes by the environment, where no process list shows a password.
        workers: How many.
        folder: Where their logs go.
        tracking_uri: MLflow's tracking URI.
    """

    def __init__(self, study: str, storage: str, workers: int, folder: Path, tracking_uri: str) -> None:
        self._study, self._workers, self._folder = study, workers, folder
        threads = max(1, (os.cpu_count() or 1) // workers)
        self._threads = threads
        self._environment = {
            **os.environ,
            STORAGE: storage,
            "MLFLOW_TRACKING_URI": tracking_uri,
            "OMP_NUM_THREADS": str(threads),
            "MKL_NUM_THREADS": str(threads),
            "PYTHONUNBUFFERED": "1",
        }
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._again = 0

    def __enter__(self) -> WorkerProcesses:
        self._folder.mkdir(parents=True, exist_ok=True)
        for number in range(1, self._workers + 1):
            self._start(number)
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.interrupt()

    def wait(self) -> list[str]:
        """Waits until all have left.

        Returns:
            Sentences about workers that were killed and started anew.

        Raises:
            CrossModalError: If one failed, or one more was killed than are started anew.
        """
        notes = []
        while self._running:
            for number, process in list(self._running.items()):
                code = process.poll()
                if code is None:
                    continue
                del self._running[number]
                if code < 0 and self._again < AGAIN:
                    self._again += 1
                    notes.append(
                        f"worker {number} was killed (signal {-code}) and started anew; its trial is run again"
                    )
                    self._start(number)
                elif code:
                    raise CrossModalError(f"worker {number} ended with code {code}: {self._last_words(number)}")
            time.sleep(0.1)
        return notes

    def interrupt(self) -> None:
        """Lets those that still run tell their trials, and leave."""
        for process in self._running.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        until = time.monotonic() + LEAVING
        for process in self._running.values():
            try:
                process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()

    def _start(self, number: int) -> None:
        words = ["worker", "--study", self._study, "--threads", str(self._threads), "--number", str(number)]
        with open(self._log(number), "ab") as log:
            # its own session: Ctrl-C reaches the sweep alone, which then asks its workers to leave
            self._running[number] = subprocess.Popen(
                [sys.executable, "-m", "cross_modal_mlflow", *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )

    def _log(self, number: int) -> Path:
        return self._folder / f"worker-{number}.log"

    def _last_words(self, number: int) -> str:
        lines = self._log(number).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return (lines[-1] if lines else "it said nothing").removeprefix("cross-modal: ")
