"""Seconds that the plugin adds to a bare ``import mlflow``; the goal is at most 0.15 s.

    python tests/benchmarks/import_cost.py

Fresh processes, with the plugin's entry points and with them hidden, in turn; the medians of ten each are compared.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

ROUNDS = 10
HIDDEN = """
import importlib.metadata as metadata
found = metadata.entry_points
metadata.entry_points = lambda **asked: [
    each for each in found(**asked) if not each.value.startswith("cross_modal_mlflow")
]
"""


def seconds(code: str) -> float:
    """Of a fresh process that runs the code."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - start


def main() -> None:
    pairs = [(seconds("import mlflow"), seconds(f"{HIDDEN}\nimport mlflow")) for _ in range(ROUNDS)]
    with_plugin, without = (statistics.median(times) for times in zip(*pairs, strict=True))
    print(f"import mlflow: {with_plugin:.3f} s with the plugin, {without:.3f} s without")
    print(f"the plugin adds {with_plugin - without:+.3f} s (goal: at most 0.15)")


if __name__ == "__main__":
    main()
