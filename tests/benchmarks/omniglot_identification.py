"""Omniglot identification: 100 unseen characters enrolled, 100 others at the door; who is it, or nobody?

Trains on background characters through the command line, whole alphabets held out for validation, and indexes 100
evaluation characters with 5 drawings each through it, too, with the held-out characters as cohort. Probes are the other
15 drawings of the enrolled and all 20 of 100 other evaluation characters. The command measures one draw of the 100 and
100; the same is repeated over many draws on the same embeddings, which gives the means and intervals below.

Goals: rank 1 ≥ 97 %; the false-identification rate that comes about within 0.5 to 2 times the 1 % that is asked.
Detection and identification at 1 % and 10 % are reported as measured: open-set identification is hard.

    python tests/benchmarks/omniglot_identification.py                   # some twenty minutes
    python tests/benchmarks/omniglot_identification.py --model FOLDER    # a twin trained before, some three minutes
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
from omniglot import ARCHIVE, CONFIG

ENROLLED, STRANGERS, REFERENCES, DRAWS = 100, 100, 5, 100
ASKED = 0.01


def cross_modal(folder: Path, *words: str) -> dict[str, object]:
    """Runs a command in a folder; returns its report, or nothing where it writes none."""
    report = folder / "report.json"
    report.unlink(missing_ok=True)
    subprocess.run([sys.executable, "-m", "cross_modal_mlflow", *words, "--json", str(report)], cwd=folder, check=True)
    return dict(json.loads(report.read_text())) if report.exists() else {}


def draw(labels: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rows that are references, and rows that are probes: of the enrolled the others, of the strangers all."""
    characters = generator.permutation(np.unique(labels))[: ENROLLED + STRANGERS]
    place = pd.Series(generator.random(len(labels))).groupby(labels).rank(method="first").to_numpy() - 1
    enrolled = np.isin(labels, characters[:ENROLLED])
    references = enrolled & (place < REFERENCES)
    return references, np.isin(labels, characters) & ~references


def by_command(folder: Path, model: str, table: pd.DataFrame, cohort: pd.DataFrame) -> None:
    """One draw through the command line: index, then identify, as a user would."""
    references, probes = draw(table["label"].to_numpy(str), np.random.default_rng(0))
    enrolled = pd.concat([table[references].assign(split="test"), cohort.assign(split="validation")])
    enrolled.to_csv(folder / "enrolled.csv", index=False)
    table[probes][["image", "label"]].to_csv(folder / "probes.csv", index=False)
    cross_modal(folder, "index", model, "--data", "enrolled.csv", "--split", "test", "--gallery", "characters.gallery")
    for rate in ("0.01", "0.1"):
        cross_modal(folder, "identify", "characters.gallery", "--data", "probes.csv", "--rate", rate)


def over_draws(evaluation: tuple[np.ndarray, np.ndarray], cohort: tuple[np.ndarray, np.ndarray]) -> pd.DataFrame:
    """Many draws on embeddings: the measures of each, asked 1 % and 10 %."""
    from cross_modal.gallery.cohort import Cohort
    from cross_modal.gallery.gallery_threshold import calibrate_gallery
    from cross_modal.gallery.identification_calibration import calibrate_identification
    from cross_modal.gallery.identification_measure import measure_identification
    from cross_modal.gallery.identity_scores import enrol

    embeddings, labels = evaluation
    others = Cohort.of(cohort[0], cohort[1].astype(object))
    made = {rate: calibrate_identification(others, ENROLLED, REFERENCES, rate) for rate in (ASKED, 0.1)}
    found = []
    for number in range(DRAWS):
        references, probes = draw(labels, np.random.default_rng([1, number]))
        enrolment = enrol(embeddings[references], labels[references].astype(object))
        for rate in (ASKED, 0.1):
            for settled, calibration in (
                ("in the gallery", calibrate_gallery(enrolment, others, rate)),
                ("galleries of the cohort", made[rate]),
            ):
                measured = measure_identification(
                    enrolment, embeddings[probes], labels[probes].astype(object), calibration, resamples=1
                )
                found.append({"draw": number, "settled": settled, "asked": rate, **measured.metrics})
    return pd.DataFrame(found)


def embedded(folder: Path, table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings of the pictures of a table, and their labels."""
    from cross_modal.configuration import DataConfig
    from cross_modal.data.items import Items
    from cross_modal.embed_items import open_pictures
    from cross_modal.encoders.embedding import embed_images
    from cross_modal.encoders.saved_twin import load_twin

    twin, config = load_twin(folder).eval(), DataConfig()
    items = Items.of(images=table["image"].tolist(), source="omniglot")
    return embed_images(twin, open_pictures(items, twin, config), np.arange(len(items))), table["label"].to_numpy(str)


def splits(manifest: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Evaluation characters, and background ones of the alphabets that training holds out; absolute paths."""
    from cross_modal.configuration import DataConfig
    from cross_modal.data.sources import read_items

    items = read_items(str(manifest), DataConfig(split_prefix=True))
    table = pd.DataFrame({"image": items.images, "label": items.labels, "split": items.splits})
    return table[table["split"] == "test"].copy(), table[table["split"] == "validation"].copy()


def report(found: pd.DataFrame) -> None:
    """Means over draws with the interval of the mean, and where single draws lie."""
    names = {
        "rank1": "rank 1",
        "false_identification_rate": "strangers taken for somebody",
        "detection_and_identification_rate": "enrolled named rightly, at the threshold",
        "detection_and_identification_rate_at_1pct": "enrolled named rightly, at exactly 1 %",
        "detection_and_identification_rate_at_10pct": "enrolled named rightly, at exactly 10 %",
    }
    for (settled, asked), rows in found.groupby(["settled", "asked"], sort=False):
        print(f"\nthreshold settled {settled}, {100 * asked:g} % asked, {len(rows)} draws")
        for name, words in names.items():
            values = 100 * rows[f"identification/{name}"]
            low, high = np.percentile(values, [2.5, 97.5])
            half = 1.96 * values.std() / np.sqrt(len(values))
            print(f"  {words:42} {values.mean():6.2f} ± {half:.2f} %   95 % of draws {low:.1f} to {high:.1f}")
    ours = found[(found["settled"] == "in the gallery") & (found["asked"] == ASKED)]
    rank1 = ours["identification/rank1"].mean()
    ratio = ours["identification/false_identification_rate"] / ASKED
    print(f"\nrank 1: {100 * rank1:.2f} %  goal at least 97 %: {'reached' if rank1 >= 0.97 else 'missed'}")
    held = "reached" if 0.5 <= ratio.mean() <= 2 else "missed"
    print(f"strangers let in: {ratio.mean():.2f} times the 1 % asked  goal 0.5 to 2 times: {held}")
    print(f"  (median draw {ratio.median():.2f} times; {100 * ratio.between(0.5, 2).mean():.0f} % of draws within)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a saved twin, trained with whole alphabets held out")
    parser.add_argument("--draws-only", action="store_true", help="leave the command line's own draw out")
    options = parser.parse_args()
    if not ARCHIVE.exists():
        print("Omniglot is not at hand: skipped")
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with zipfile.ZipFile(ARCHIVE) as archive:
            archive.extractall(folder)
        manifest = next(folder.rglob("manifest.csv"))
        if options.model is None:
            words = ["--config", str(CONFIG), "--data", str(manifest)]
            trained = cross_modal(folder, "train", *words)
            from cross_modal_mlflow.models import model_folder
            from cross_modal_mlflow.store import open_store

            model = f"runs:/{trained['run_id']}/model"
            saved = model_folder(model, open_store)
        else:
            saved = options.model.resolve()
            model = str(saved)
        evaluation, cohort = splits(manifest)
        print(f"cohort: {cohort['label'].nunique()} characters of held-out alphabets")
        if not options.draws_only:
            by_command(folder, model, evaluation, cohort)
        began = time.perf_counter()
        report(over_draws(embedded(saved, evaluation), embedded(saved, cohort)))
        print(f"{DRAWS} draws: {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
