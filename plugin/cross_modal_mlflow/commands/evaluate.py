"""``cross-modal evaluate``: measures a saved twin on unseen classes, as a run of its own."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cross_modal.configuration import DataConfig, EvaluationConfig
from cross_modal.errors import CrossModalError
from cross_modal_mlflow.arguments import parse
from cross_modal_mlflow.command_line import Call

EXAMPLES = """\
examples:
  cross-modal evaluate runs:/RUN_ID/model                      on the data that it was trained on, split test
  cross-modal evaluate runs:/RUN_ID/model --data items.csv --ways 5 20 --shots 0 1 5 --episodes 1000
  cross-modal evaluate models:/birds@champion --data photos/ --split all --json birds.json
  cross-modal evaluate model/ --data omniglot/manifest.csv --lake-runs omniglot/oneshot_runs.csv"""


@dataclass
class EvaluateOptions(EvaluationConfig):
    """What is measured.

    Attributes:
        model: The model: runs:/ID/model, models:/NAME@ALIAS or a folder.
        data: The source, as for train; none takes what the model was trained on.
        split: The split that is measured; "all" takes every item.
        lake_runs: A CSV file with the columns run, test_image and support_image: Lake's fixed runs, measured too.
        items: How the source becomes items and splits; what is not given is as the model was trained.
    """

    model: str = ""
    data: str | None = None
    split: Literal["train", "validation", "test", "all"] = "test"
    lake_runs: str | None = None
    items: DataConfig = field(default_factory=DataConfig)


def run(call: Call) -> None:
    """Runs the command."""
    options = _parse(call, None)
    if not options.model:
        raise CrossModalError("evaluate: expected a MODEL (runs:/ID/model, models:/NAME@ALIAS or a folder), found none")
    from cross_modal.encoders.saved_twin import read_card
    from cross_modal_mlflow.evaluate_model import measure_model
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
    store = open_store()
    report, notes = measure_model(options, folder, card, store, stderr())
    print_report(stdout(), report, notes, store, call.json)


def _parse(call: Call, config: str | None) -> EvaluateOptions:
    return parse(
        EvaluateOptions,
        call.arguments,
        command=call.command,
        examples=EXAMPLES,
        usage="MODEL [--data SOURCE] [options]",
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
