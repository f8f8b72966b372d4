"""Omniglot: train on background characters, measure on the evaluation alphabets and on Lake's within-alphabet runs.

Goals: at most 30 minutes of training on two cores; random 20-way one-shot ≥ 97.0 %, 5-way ≥ 99.0 %, Lake's 20 runs
≥ 95.5 % (humans; Koch et al.'s siamese network 92.0, prototypical networks 96.0 on the easier random split).

    python tests/benchmarks/omniglot.py            # some twenty minutes
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pandas as pd

ARCHIVE = Path(__file__).parents[3] / "shared" / "data" / "omniglot.zip"
CONFIG = Path(__file__).with_name("omniglot.yaml")
GOALS = {
    "episodes/20way_1shot/accuracy": 0.970,
    "episodes/5way_1shot/accuracy": 0.990,
    "lake/accuracy": 0.955,
}


def cross_modal(folder: Path, *words: str) -> dict[str, float]:
    """Runs a command in a folder; returns its metrics and seconds."""
    report = folder / "report.json"
    subprocess.run([sys.executable, "-m", "cross_modal_mlflow", *words, "--json", str(report)], cwd=folder, check=True)
    content = json.loads(report.read_text())
    return (
        content["metrics"]
        | {f"seconds/{name}": value for name, value in content["seconds"].items()}
        | {"run": content["run_id"]}
    )


def main() -> None:
    if not ARCHIVE.exists():
        print("Omniglot is not at hand: skipped")
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with zipfile.ZipFile(ARCHIVE) as archive:
            archive.extractall(folder)
        manifest = next(folder.rglob("manifest.csv"))
        trained = cross_modal(folder, "train", "--config", str(CONFIG), "--data", str(manifest))
        runs = pd.read_csv(manifest.with_name("oneshot_runs.csv"), dtype=str)
        runs["test_image"], runs["support_image"] = runs["test_original"], runs["support_original"]
        runs.to_csv(manifest.with_name("lake_runs.csv"), index=False)  # by the names that the archive has
        lake = ["--lake-runs", str(manifest.with_name("lake_runs.csv"))]
        measured = cross_modal(folder, "evaluate", f"runs:/{trained['run']}/model", "--data", str(manifest), *lake)
    print(f"training: {trained['seconds/training'] / 60:.1f} minutes (goal: at most 30)")
    for metric, goal in GOALS.items():
        value, interval = measured[metric], measured[f"{metric}/ci95"]
        print(f"{metric}: {100 * value:.2f} ± {100 * interval:.2f} %  goal {100 * goal:.1f} %")


if __name__ == "__main__":
    main()
