"""``cross-modal evaluate`` on a manifest of pairs or triplets: error rates of a saved twin, one MLflow run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cross_modal.data.pairs import Triplets
from cross_modal.encoders.saved_twin import load_twin
from cross_modal.errors import CrossModalError
from cross_modal.verification.pair_scorer import load_pair_scorer
from cross_modal.verification.saved_calibration import SavedCalibration
from cross_modal_mlflow.device import on_device
from cross_modal_mlflow.pair_data import as_pairs, log_pair_data, one_split, pair_protocol, read_pair_source
from cross_modal_mlflow.pair_measurement import measure_pairs, score_pairs, triplet_accuracy
from cross_modal_mlflow.pair_run import log_measured_pairs, log_options
from cross_modal_mlflow.phases import Clock, working
from cross_modal_mlflow.report import Report
from cross_modal_mlflow.store import Store
from cross_modal_mlflow.tracking import tracked_run

if TYPE_CHECKING:
    from rich.console import Console

    from cross_modal_mlflow.evaluate_options import EvaluateOptions


def measure_pair_source(
    options: EvaluateOptions, folder: Path, store: Store, console: Console
) -> tuple[Report, list[str]]:
    """Measures a twin on pairs and logs it.

    Args:
        options: What to measure on what.
        folder: The saved twin.
        store: The tracking store.
        console: Where progress goes.

    Returns:
        The report, and notes.

    Raises:
        CrossModalError: Options that need classes, or pairs that cannot be measured.
    """
    clock, source = Clock(), str(options.data)
    for name, given in (("--open-set", options.open_set), ("--lake-runs", options.lake_runs)):
        if given:
            raise CrossModalError(f"{name}: expected items with classes, found pairs in {source}")
    with clock.phase("data"), working(console, f"reading {source}"):
        data = read_pair_source(source, options.items)
        pairs = as_pairs(data)
        chosen = one_split(pairs, options.split)
    twin, scorer, calibration = on_device(load_twin(folder)), load_pair_scorer(folder), SavedCalibration.load(folder)
    with tracked_run("evaluate", store, name=f"evaluate {Path(source).name}"[:80]) as run:
        log_options(run, options)
        log_pair_data(run, pairs, options.items, (options.split,))
        with clock.phase("embedding"), working(console, f"scoring {len(chosen):,} pairs"):
            scored = score_pairs(twin, scorer, chosen, options.items)
        with clock.phase("evaluation"), working(console, "measuring"):
            measures = measure_pairs(scored, calibration, seed=options.seed)
            metrics, notes = measures.metrics, measures.notes
            if isinstance(data, Triplets):
                metrics |= triplet_accuracy(scored.scores)
            if calibration is None and chosen.same is not None:
                notes = [*notes, "the model has no calibration: no threshold, no accuracy at it"]
        report = Report(
            "evaluate", pair_protocol(pairs, options.split, scorer, options.seed), metrics, clock.seconds, run.run_id
        )
        report.protocol["model"] = options.model
        with clock.phase("logging"), working(console, "logging the run"):
            log_measured_pairs(run, report, notes, scored, measures)
        run.metrics({f"seconds/{name}": value for name, value in clock.seconds.items()})
    return report, notes
