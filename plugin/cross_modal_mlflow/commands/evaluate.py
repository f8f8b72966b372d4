"""``cross-modal evaluate``: measures a saved twin on unseen classes, or few-shot classifiers on its embeddings."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.arguments import parse
from cross_modal_mlflow.command_line import Call
from cross_modal_mlflow.evaluate_options import EvaluateOptions

if TYPE_CHECKING:
    from cross_modal_mlflow.kshot_outcome import KShotOutcome
    from cross_modal_mlflow.store import Store

EXAMPLES = """\
examples:
  cross-modal evaluate runs:/RUN_ID/model                      on the data that it was trained on, split test
  cross-modal evaluate runs:/RUN_ID/model --data items.csv --ways 5 20 --shots 0 1 5 --episodes 1000
  cross-modal evaluate models:/birds@champion --data photos/ --split all --json birds.json
  cross-modal evaluate model/ --data omniglot/manifest.csv --lake-runs omniglot/oneshot_runs.csv
  cross-modal evaluate model/ --data items.csv --open-set --false-accept-rate 0.01      known or a stranger?

which few-shot classifier, and is another shot worth it (--kshot):
  cross-modal evaluate runs:/RUN_ID/model --kshot 1 2 4 --allow-fewer
  cross-modal evaluate model/ --data photos/ --kshot 1 2 4 8 16 --seeds 1 2 3 4 5 --views 10 --csv fits.csv
  cross-modal evaluate model/ --data photos/ --kshot 4 16 --methods prototypes tip_adapter --base-to-new
  cross-modal evaluate --features clip_dtd.npz --kshot 1 2 4 8 16 --json dtd.json

methods: zero_shot, prototypes, nearest_neighbours, tip_adapter, tip_adapter_f, cross_modal_probe,
  gaussian_discriminant, linear_probe_plus_plus
a features file has train_features, train_labels, test_features, test_labels, and where there are any val_features,
  val_labels, text_features, classes; without them a fifth of train validates, and names take no part"""


def run(call: Call) -> None:
    """Runs the command."""
    options = _parse(call, None)
    if options.features is not None:
        _evaluate_features(call, options)
    elif not options.model:
        raise CrossModalError(
            "evaluate: expected a MODEL (runs:/ID/model, models:/NAME@ALIAS or a folder) or --features FILE.npz, "
            "found none"
        )
    else:
        _evaluate_model(call, options)


def _evaluate_model(call: Call, options: EvaluateOptions) -> None:
    """Episodes and retrieval, or the K-shot protocol, of a twin."""
    from cross_modal.encoders.saved_twin import read_card
    from cross_modal_mlflow.models import model_folder
    from cross_modal_mlflow.store import open_store
    from cross_modal_mlflow.summary import print_report, stderr, stdout

    folder = model_folder(options.model, open_store)
    card = read_card(folder)["card"]
    options = _with_card(call, card)
    if options.data is None:
        raise CrossModalError(
            "evaluate: expected --data SOURCE, found none (the model does not say what it learned from)"
        )
    if options.kshot:
        from cross_modal_mlflow.evaluate_kshot import measure_kshot_of_model

        _finish_kshot(call, options, lambda store: measure_kshot_of_model(options, folder, card, store, stderr()))
        return
    from cross_modal_mlflow.evaluate_model import measure_model

    store = open_store()
    report, notes = measure_model(options, folder, card, store, stderr())
    print_report(stdout(), report, notes, store, call.json)


def _evaluate_features(call: Call, options: EvaluateOptions) -> None:
    """The K-shot protocol of stored embeddings."""
    for name, given in (("a MODEL", options.model), ("--data", options.data)):
        if given:
            raise CrossModalError(f"evaluate: expected --features alone or a MODEL with --data, found both, {name} too")
    if not Path(str(options.features)).is_file():  # before a tracking store is made for it
        raise CrossModalError(f"--features {options.features}: expected a file, found no such file")
    from cross_modal_mlflow.evaluate_kshot import measure_kshot_of_features
    from cross_modal_mlflow.summary import stderr

    _finish_kshot(call, options, lambda store: measure_kshot_of_features(options, store, stderr()))


def _finish_kshot(call: Call, options: EvaluateOptions, measure: Callable[[Store], KShotOutcome]) -> None:
    """Measures, prints the tables, writes ``--csv`` and ``--json``."""
    from cross_modal_mlflow.kshot_outcome import check_csv, write_csv
    from cross_modal_mlflow.kshot_table import terminal_tables
    from cross_modal_mlflow.store import open_store
    from cross_modal_mlflow.summary import print_report, stdout

    check_csv(options.csv)
    store = open_store()
    outcome = measure(store)
    if options.csv is not None:
        write_csv(outcome, options.csv)
    print_report(
        stdout(),
        outcome.report,
        outcome.notes,
        store,
        call.json,
        title=f"evaluate: {outcome.result.protocol}",
        tables=terminal_tables(outcome.report.metrics, outcome.result.rows),
    )


def _parse(call: Call, config: str | None) -> EvaluateOptions:
    return parse(
        EvaluateOptions,
        call.arguments,
        command=call.command,
        examples=EXAMPLES,
        usage="MODEL [--data SOURCE] [--kshot N …] [options]\n"
        "       cross-modal evaluate --features FILE.npz [--kshot N …] [options]",
        positionals=["model"],
        config=config,
    )


def _with_card(call: Call, card: dict) -> EvaluateOptions:
    """The options once more, over what the model's card says: same data, same splits, unless told otherwise."""
    import yaml

    trained = card.get("experiment", {})
    below = {"data": card.get("data")} | ({"items": trained["items"]} if "items" in trained else {})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "card.yaml"
        path.write_text(yaml.safe_dump(below), encoding="utf-8")
        return _parse(call, str(path))
