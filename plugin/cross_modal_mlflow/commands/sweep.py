"""``cross-modal sweep``: Optuna over margins, losses and miners; every trial an MLflow run, the winner a model."""

from __future__ import annotations

import os
from importlib.resources import as_file, files

from cross_modal_mlflow.arguments import parse
from cross_modal_mlflow.command_line import Call
from cross_modal_mlflow.sweep.options import STORAGE, SweepOptions

EXAMPLES = """\
examples:
  cross-modal sweep --data glyphs --trials 20 --workers 2
  cross-modal sweep --data photos/ --losses TripletMarginLoss ContrastiveLoss --miners none TripletMarginMiner
  cross-modal sweep --data items.csv --space margins.yaml          your own ranges, by dotted path:
      objective.loss.name: TripletMarginLoss
      objective.loss.arguments.margin: {low: 0.01, high: 1.0, log: true}
  cross-modal sweep --data items.csv --targets score eer           a Pareto front
  cross-modal sweep --data items.csv --freeze trunk --max-latency 20
  cross-modal sweep --data items.csv --model models:/birds@champion --pruner wilcoxon    heads, not twins
  cross-modal sweep --study birds --resume --trials 60             goes on, also after Ctrl-C
  cross-modal sweep --data items.csv --study birds --storage postgresql://me@host/optuna --register birds"""


def run(call: Call) -> None:
    """Runs the command."""
    with as_file(files("cross_modal_mlflow") / "sweep.yaml") as path:
        options = parse(
            SweepOptions,
            call.arguments,
            command=call.command,
            examples=EXAMPLES,
            usage="--data SOURCE [options]",
            config=str(path) if path.is_file() else None,
        )
    options.storage = options.storage or os.environ.get(STORAGE)
    options.check()
    from cross_modal_mlflow.summary import stderr, stdout
    from cross_modal_mlflow.sweep.coordinate import sweep
    from cross_modal_mlflow.sweep.sweep_table import print_sweep

    print_sweep(stdout(), sweep(options, stderr()), call.json)
