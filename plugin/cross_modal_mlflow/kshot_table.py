"""The results of a K-shot experiment as tables: methods × shots on the terminal, one row a fit as CSV.

A table is made from metrics by their names (``kshot/METHOD/Kshot/QUANTITY``), so that whatever is measured beside
accuracy has its table too, and a table can be made again from a run that was logged long ago.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cross_modal.fewshot.intervals import mean_and_interval

if TYPE_CHECKING:
    from rich.table import Table

    from cross_modal.fewshot.kshot import KShotRow

_NAME = re.compile(r"kshot/(\w+)/(\d+)shot/(\w+)(/ci95)?")
ACCURACIES = ("accuracy", "harmonic_mean", "base_accuracy", "new_accuracy")
HEADS = {
    "ece": "ECE",
    "auroc": "AUROC",
    "fpr_at_95_tpr": "FPR at 95 % TPR",
    "false_accept_rate": "FAR",
    "false_reject_rate": "FRR",
    "accuracy_at_far": "accuracy at FAR",
}
_TIGHT: dict[str, Any] = {"collapse_padding": True, "pad_edge": False}  # five numbers of shots fit 120 columns
_LESS_IS_MORE = ("ece", "fpr_at_95_tpr", "false_reject_rate")
_NO_CONTEST = ("false_accept_rate",)  # it was asked for, and is as good as it is near
_COLUMNS = ("method", "shots", "seed", "accuracy", "validation_accuracy", "seconds", "parameters")
NAMES = {
    "zero_shot": "Zero-shot",
    "prototypes": "Prototypes",
    "nearest_neighbours": "Nearest neighbours",
    "tip_adapter": "Tip-Adapter",
    "tip_adapter_f": "Tip-Adapter-F",
    "cross_modal_probe": "Cross-modal probe",
    "gaussian_discriminant": "Gaussian discriminant",
    "linear_probe_plus_plus": "LP++",
}


@dataclass(frozen=True)
class Measured:
    """A mean over seeds.

    Attributes:
        value: The mean.
        half_width: Of its 95 % interval; None where one seed says nothing of how it varies.
    """

    value: float
    half_width: float | None = None


def measured(metrics: Mapping[str, float], quantity: str = "accuracy") -> dict[str, dict[int, Measured]]:
    """One quantity of all methods.

    Args:
        metrics: Name → number; names that are no K-shot metric are passed over.
        quantity: The last part of the name.

    Returns:
        Method → shots → mean; methods in the order of the metrics, shots ascending.

    >>> measured({"kshot/tip_adapter/4shot/accuracy": 0.9, "kshot/tip_adapter/4shot/accuracy/ci95": 0.1})
    {'tip_adapter': {4: Measured(value=0.9, half_width=0.1)}}
    """
    found: dict[str, dict[int, Measured]] = {}
    for name, value in metrics.items():
        parts = _NAME.fullmatch(name)
        if parts and parts[3] == quantity and not parts[4]:
            found.setdefault(parts[1], {})[int(parts[2])] = Measured(value, metrics.get(f"{name}/ci95"))
    return {method: dict(sorted(of_shots.items())) for method, of_shots in found.items()}


def quantities(metrics: Mapping[str, float]) -> list[str]:
    """The quantities that K-shot metrics have: accuracy first, the others in the order of the metrics."""
    found = [parts[3] for name in metrics if (parts := _NAME.fullmatch(name))]
    return sorted(dict.fromkeys(found), key=lambda quantity: quantity != "accuracy")


def display_name(method: str) -> str:
    """What papers call a method.

    >>> display_name("linear_probe_plus_plus"), display_name("my_own")
    ('LP++', 'My own')
    """
    return NAMES.get(method, method.replace("_", " ").capitalize())


def terminal_tables(metrics: Mapping[str, float], rows: Sequence[KShotRow] = ()) -> list[Table]:
    """What the terminal shows: accuracies over the shots, then calibration and rejection at the most shots.

    Args:
        metrics: Name → number.
        rows: The single fits.

    Returns:
        Rich tables.
    """
    found = quantities(metrics)
    accuracies = [name for name in ACCURACIES if name in found]
    others = [name for name in found if name not in accuracies]
    tables = [kshot_table(metrics, name, rows) for name in accuracies]
    return [*tables, measures_table(metrics, others)] if others else tables


def kshot_table(metrics: Mapping[str, float], quantity: str = "accuracy", rows: Sequence[KShotRow] = ()) -> Table:
    """A table of methods × shots with intervals; the best of each column is bold.

    Args:
        metrics: Name → number.
        quantity: What is shown.
        rows: The single fits; where there are any, a last column tells what the last step in shots gained.

    Returns:
        A rich table.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    values = measured(metrics, quantity)
    shots = sorted({count for of_shots in values.values() for count in of_shots})
    learned = [count for count in shots if count]
    gains = last_gains(rows) if quantity == "accuracy" and len(learned) > 1 else {}
    title = f"{quantity.replace('_', ' ')} on test, %"
    table = Table(header_style="bold", title=title, title_justify="left", box=SIMPLE_HEAD, **_TIGHT)
    table.add_column("method", no_wrap=True)
    for count in shots:
        table.add_column(f"{count} shot{'s' * (count != 1)}", justify="right")
    if gains:
        table.add_column(f"{learned[-2]} → {learned[-1]} shots", justify="right")
    best = {count: _best([of[count] for of in values.values() if count in of], quantity) for count in shots}
    for method, of_shots in values.items():
        cells = [_cell(of_shots.get(count), best[count]) for count in shots]
        gain = gains.get(method)
        table.add_row(display_name(method), *cells, *([_signed(gain) if gain else ""] if gains else []))
    return table


def measures_table(metrics: Mapping[str, float], names: Sequence[str]) -> Table:
    """A table of methods × quantities at each method's most shots; means alone, or it would not fit a terminal.

    Args:
        metrics: Name → number.
        names: The quantities.

    Returns:
        A rich table.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    values = {name: measured(metrics, name) for name in names}
    methods = list(dict.fromkeys(method for of_methods in values.values() for method in of_methods))
    most = {method: max(max(of[method]) for of in values.values() if method in of) for method in methods}
    shots = max(most.values(), default=0)
    title = f"calibration and rejection at {shots} shots, %"
    table = Table(header_style="bold", title=title, title_justify="left", box=SIMPLE_HEAD, **_TIGHT)
    table.add_column("method", no_wrap=True)
    at_most: dict[str, dict[str, Measured]] = {}
    for name, of_methods in values.items():
        table.add_column(HEADS.get(name, name.replace("_", " ")), justify="right")
        at_most[name] = {method: of[most[method]] for method, of in of_methods.items() if most[method] in of}
    best = {name: _best(list(of.values()), name) for name, of in at_most.items()}
    for method in methods:
        table.add_row(display_name(method), *(_value(at_most[name].get(method), best[name]) for name in values))
    return table


def last_gains(rows: Sequence[KShotRow]) -> dict[str, Measured]:
    """What the last step in shots gained each method, over pairs of equal seeds.

    A split with more shots contains the one with fewer, so the difference within a seed varies far less than the
    accuracies do: the interval is of the differences.

    Args:
        rows: Single fits.

    Returns:
        Method → mean difference; methods with fits at both of the two largest numbers of shots.
    """
    counts = sorted({row.shots for row in rows if row.shots})
    if len(counts) < 2:
        return {}
    accuracy = {(row.method, row.shots, row.seed): row.accuracy for row in rows}
    differences: dict[str, list[float]] = {}
    for (method, shots, seed), value in accuracy.items():
        before = accuracy.get((method, counts[-2], seed))
        if shots == counts[-1] and before is not None:
            differences.setdefault(method, []).append(value - before)
    gains = {}
    for method, of_seeds in differences.items():
        mean, half = mean_and_interval(np.array(of_seeds))
        gains[method] = Measured(mean, half if math.isfinite(half) else None)
    return gains


def kshot_csv(rows: Sequence[KShotRow], protocol: str) -> str:
    """One line a fit: method, shots, seed, accuracies, chosen parameters, and the protocol beside every number.

    Args:
        rows: The fits.
        protocol: How it was all measured.

    Returns:
        CSV with a header; numbers that do not exist are empty, parameters are JSON.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    measures = list(dict.fromkeys(name for row in rows for name in row.measures))
    writer.writerow([*_COLUMNS, *measures, "protocol"])
    for row in rows:
        own = [getattr(row, name) for name in _COLUMNS]
        writer.writerow([*map(_csv_cell, own), *(_csv_cell(row.measures.get(name)) for name in measures), protocol])
    return text.getvalue()


def kshot_columns(metrics: Mapping[str, float]) -> dict[str, list[Any]]:
    """The tables as columns, one row a method and number of shots, as MLflow's table viewer shows them."""
    names = quantities(metrics)
    by_quantity = {name: measured(metrics, name) for name in names}
    keys = list(dict.fromkeys((m, k) for values in by_quantity.values() for m, shots in values.items() for k in shots))
    columns: dict[str, list[Any]] = {
        "method": [display_name(method) for method, _ in keys],
        "shots": [shots for _, shots in keys],
    }
    for name, values in by_quantity.items():
        found = [values.get(method, {}).get(shots) for method, shots in keys]
        columns[name] = [None if each is None else round(each.value, 6) for each in found]
        halves = [None if each is None or each.half_width is None else round(each.half_width, 6) for each in found]
        if any(half is not None for half in halves):
            columns[f"{name} ± 95 %"] = halves
    return columns


def _best(found: Sequence[Measured], quantity: str) -> float:
    values = [each.value for each in found if math.isfinite(each.value)]
    if len(values) < 2 or quantity in _NO_CONTEST:
        return math.nan  # nobody is the best of one
    return min(values) if quantity in _LESS_IS_MORE else max(values)


def _cell(each: Measured | None, best: float) -> str:
    text = _value(each, best)
    return text if each is None or each.half_width is None else f"{text} ± {100 * each.half_width:.1f}"


def _value(each: Measured | None, best: float) -> str:
    if each is None or not math.isfinite(each.value):
        return ""
    return f"[bold]{100 * each.value:.2f}[/]" if each.value == best else f"{100 * each.value:.2f}"


def _signed(gain: Measured) -> str:
    text = f"{round(100 * gain.value, 2) + 0.0:+.2f}"  # the sum turns −0.00 into +0.00
    return text if gain.half_width is None else f"{text} ± {100 * gain.half_width:.1f}"


def _csv_cell(value: object) -> object:
    if isinstance(value, float):
        return "" if math.isnan(value) else repr(value)
    if value is None:
        return ""
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, sort_keys=True, default=str)
    return value
