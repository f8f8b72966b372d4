"""Same character or not? Omniglot's evaluation alphabets, at the threshold that whole unseen background alphabets set.

    python tests/benchmarks/omniglot_verification.py                  # trains first: some twenty minutes
    python tests/benchmarks/omniglot_verification.py --model FOLDER   # a twin trained before, as by omniglot.py

10,000 pairs of evaluation drawings: half of one character, half of two, and half of those two of one alphabet. Goal:
94 % right. The nearest published figure is the siamese paper's 93.4 % (Koch et al. 2015); its pairs are drawn
differently. Training holds whole background alphabets out for stopping and for the threshold.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pandas as pd
from omniglot import ARCHIVE, CONFIG, cross_modal

from cross_modal.configuration import DataConfig
from cross_modal.data.sources import read_items
from cross_modal_mlflow.pair_table import draw_pairs

GOAL, PAIRS = 0.94, 10_000


def write_pairs(manifest: Path, file: Path, seed: int = 0) -> None:
    """Draws the pairs from the evaluation alphabets."""
    items = read_items(str(manifest), DataConfig(split_prefix=True)).split("test")
    drawn = draw_pairs(items, PAIRS, seed, within_prefix=0.5)
    table = {"image_a": items.images[drawn.a], "image_b": items.images[drawn.b], "same": drawn.same.astype(int)}
    pd.DataFrame(table).to_csv(file, index=False)
    different = ~drawn.same
    near = (items.prefixes[drawn.a] == items.prefixes[drawn.b])[different].mean()  # type: ignore[index]
    print(f"{len(drawn):,} pairs, {drawn.same.mean():.1%} same, {near:.1%} of the different ones of one alphabet")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a twin trained by the same settings; none trains one")
    options = parser.parse_args()
    if not ARCHIVE.exists():
        print("Omniglot is not at hand: skipped")
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with zipfile.ZipFile(ARCHIVE) as archive:
            archive.extractall(folder)
        manifest, pairs = next(folder.rglob("manifest.csv")), folder / "pairs.csv"
        write_pairs(manifest, pairs)
        model = options.model and str(Path(options.model).absolute())
        if model is None:
            words = ["train", "--config", str(CONFIG), "--data", str(manifest)]
            model = f"runs:/{cross_modal(folder, *words)['run']}/model"
        found = cross_modal(folder, "evaluate", model, "--data", str(pairs), "--split", "all")
    for metric in (
        "verification/equal_error/accuracy",
        "verification/accuracy",
        "verification/eer",
        "verification/auc",
    ):
        half = found.get(f"{metric}/ci95")
        goal = f"  goal {GOAL:.1%}" if metric == "verification/equal_error/accuracy" else ""
        print(f"{metric}: {found[metric]:.2%}" + (f" ± {half:.2%}" if half is not None else "") + goal)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
