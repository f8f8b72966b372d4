"""The demo as a child process of the explorer: one at a time, its last lines at hand, stopped when asked."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

LINES = 30


@dataclass(frozen=True)
class DemoState:
    """How the demo stands.

    Attributes:
        running: It is at work.
        exit_code: How it ended; None where it never started or still runs.
        lines: The last lines that it printed.
    """

    running: bool
    exit_code: int | None
    lines: list[str]


class _Demo:
    """The one child process, shared by all who look."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.process: subprocess.Popen[bytes] | None = None
        self.log: Path | None = None


_DEMO = _Demo()


def start(uri: str, words: tuple[str, ...] = ("demo",)) -> None:
    """Starts the demo, unless it runs.

    Args:
        uri: The tracking store that it logs to.
        words: The command and its options.
    """
    with _DEMO.lock:
        if _DEMO.process is not None and _DEMO.process.poll() is None:
            return
        descriptor, name = tempfile.mkstemp(prefix="cross-modal-demo-", suffix=".log")
        _DEMO.log = Path(name)
        with os.fdopen(descriptor, "wb") as log:
            _DEMO.process = subprocess.Popen(
                [sys.executable, "-m", "cross_modal_mlflow", *words],
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "MLFLOW_TRACKING_URI": uri, "COLUMNS": "120", "NO_COLOR": "1"},
            )


def stop() -> None:
    """Stops the demo as Ctrl-C would: its run ends KILLED."""
    with _DEMO.lock:
        if _DEMO.process is not None and _DEMO.process.poll() is None:
            _DEMO.process.terminate()


def state() -> DemoState:
    """How the demo stands now."""
    process, log = _DEMO.process, _DEMO.log
    lines = [] if log is None or not log.is_file() else log.read_text(errors="replace").splitlines()[-LINES:]
    if process is None:
        return DemoState(False, None, lines)
    return DemoState(process.poll() is None, process.poll(), lines)
