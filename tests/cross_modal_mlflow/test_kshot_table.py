import csv
import io
import json
import math

import pytest
from rich.console import Console
from rich.table import Table

from cross_modal.fewshot.kshot_result import KShotRow
from cross_modal_mlflow.kshot_table import (
    NAMES,
    Measured,
    kshot_columns,
    kshot_csv,
    kshot_table,
    last_gains,
    measured,
    measures_table,
    quantities,
    terminal_tables,
)

METRICS = {
    "kshot/zero_shot/0shot/accuracy": 0.62,
    "kshot/zero_shot/0shot/auroc": 0.7,
    "kshot/prototypes/4shot/accuracy": 0.8,
    "kshot/prototypes/4shot/accuracy/ci95": 0.0123,
    "kshot/prototypes/1shot/accuracy": 0.7,
    "kshot/prototypes/4shot/auroc": 0.9,
    "kshot/tip_adapter/1shot/accuracy": 0.75,
    "kshot/tip_adapter/4shot/accuracy": 0.81,
    "kshot/tip_adapter/4shot/auroc": 0.85,
    "episodes/20way_1shot/accuracy": 0.5,
}


def fit(method: str, shots: int, seed: int, accuracy: float, **measures: float) -> KShotRow:
    return KShotRow(method, shots, seed, accuracy, {"alpha": 0.5}, 0.25, math.nan, measures)


ROWS = [
    fit("zero_shot", 0, 1, 0.62, auroc=0.7),
    *(fit("prototypes", 1, seed, value) for seed, value in ((1, 0.60), (2, 0.70), (3, 0.80))),
    *(fit("prototypes", 4, seed, value) for seed, value in ((1, 0.70), (2, 0.81), (3, 0.90))),
]


def shown(table: Table) -> str:
    console = Console(width=140, file=io.StringIO(), color_system=None)
    console.print(table)
    return console.file.getvalue()  # type: ignore[attr-defined]


def cells(table: Table) -> dict[str, list[str]]:
    columns = [list(column.cells) for column in table.columns]
    return {str(row[0]): list(map(str, row[1:])) for row in zip(*columns, strict=True)}


def test_metrics_are_read_by_their_names() -> None:
    assert measured(METRICS) == {
        "zero_shot": {0: Measured(0.62)},
        "prototypes": {1: Measured(0.7), 4: Measured(0.8, 0.0123)},
        "tip_adapter": {1: Measured(0.75), 4: Measured(0.81)},
    }
    assert list(measured(METRICS)["prototypes"]) == [1, 4]
    assert quantities(METRICS) == ["accuracy", "auroc"]
    assert quantities({"episodes/5way_1shot/accuracy": 1.0}) == []


def test_table_has_methods_by_shots_with_intervals_and_the_best_in_bold() -> None:
    table = kshot_table(METRICS)
    assert [str(column.header) for column in table.columns] == ["method", "0 shots", "1 shot", "4 shots"]
    assert cells(table) == {
        "Zero-shot": ["62.00", "", ""],
        "Prototypes": ["", "70.00", "80.00 ± 1.2"],
        "Tip-Adapter": ["", "[bold]75.00[/]", "[bold]81.00[/]"],
    }


def test_the_last_step_in_shots_is_measured_within_seeds() -> None:
    gains = last_gains(ROWS)
    assert list(gains) == ["prototypes"]
    # differences 0.10, 0.11, 0.10: t of two degrees of freedom is 4.3027, s / √3 is 0.01 / 3
    assert gains["prototypes"].value == pytest.approx(0.31 / 3)
    assert gains["prototypes"].half_width == pytest.approx(4.30265 * 0.01 / 3, rel=1e-4)
    table = kshot_table(METRICS, rows=ROWS)
    assert str(table.columns[-1].header) == "1 → 4 shots"
    assert cells(table)["Prototypes"][-1] == "+10.33 ± 1.4"
    assert cells(table)["Zero-shot"][-1] == ""


def test_one_seed_has_a_gain_and_no_interval_and_one_k_has_no_gain() -> None:
    assert last_gains([row for row in ROWS if row.seed == 1]) == {"prototypes": Measured(pytest.approx(0.1), None)}
    assert last_gains([row for row in ROWS if row.shots == 4]) == {}
    assert len(kshot_table(METRICS, rows=[row for row in ROWS if row.shots == 4]).columns) == 4


def test_no_gain_is_no_loss() -> None:
    rows = [fit("prototypes", shots, 1, 0.3 - shots * 1e-9) for shots in (1, 2)]
    metrics = {f"kshot/prototypes/{shots}shot/accuracy": 0.3 for shots in (1, 2)}
    assert cells(kshot_table(metrics, rows=rows))["Prototypes"][-1] == "+0.00"


def test_other_quantities_stand_at_each_methods_most_shots() -> None:
    metrics = METRICS | {
        "kshot/prototypes/4shot/ece": 0.05,
        "kshot/tip_adapter/4shot/ece": 0.02,
        "kshot/prototypes/1shot/ece": 0.01,
    }
    table = measures_table(metrics, ["auroc", "ece"])
    assert [str(column.header) for column in table.columns] == ["method", "AUROC", "ECE"]
    assert cells(table) == {
        "Zero-shot": ["70.00", ""],
        "Prototypes": ["[bold]90.00[/]", "5.00"],
        "Tip-Adapter": ["85.00", "[bold]2.00[/]"],  # an error that is small is good
    }
    assert "4 shots" in str(table.title)


def test_terminal_shows_accuracies_first_and_fits_120_columns() -> None:
    metrics = {f"kshot/{name}/{shots}shot/accuracy": 0.9 for name in NAMES for shots in (1, 2, 4, 8, 16)}
    metrics |= {f"{name}/ci95": 0.123 for name in metrics}
    rows = [fit("prototypes", shots, seed, 0.1 + 0.3 * seed) for shots in (8, 16) for seed in (1, 2)]
    (table,) = terminal_tables(metrics, rows)
    console = Console(width=120, file=io.StringIO(), color_system=None)
    console.print(table)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert "…" not in "".join(lines)
    assert sum(line.count("90.00 ± 12.3") == 5 for line in lines) == len(NAMES)
    assert [len(shown(table)) > 0 for table in terminal_tables(METRICS)] == [True, True]


def test_base_to_new_has_a_table_each() -> None:
    names = ("base_accuracy", "new_accuracy", "harmonic_mean")
    metrics = {f"kshot/prototypes/4shot/{name}": 0.5 for name in names}
    assert [str(table.title) for table in terminal_tables(metrics)] == [
        "harmonic mean on test, %",
        "base accuracy on test, %",
        "new accuracy on test, %",
    ]


def test_csv_has_a_row_a_fit_with_the_protocol_beside_it() -> None:
    text = kshot_csv([fit("tip_adapter", 4, 1, 0.1 + 0.2, auroc=0.5), *ROWS[:2]], "toys K=4, split=ab")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 3
    assert float(rows[0]["accuracy"]) == 0.1 + 0.2  # every digit
    assert json.loads(rows[0]["parameters"]) == {"alpha": 0.5}
    assert rows[0]["validation_accuracy"] == ""
    assert {row["protocol"] for row in rows} == {"toys K=4, split=ab"}
    assert [row["auroc"] for row in rows] == ["0.5", "0.7", ""]


def test_csv_of_nothing_is_a_header() -> None:
    assert kshot_csv([], "x").splitlines() == [
        "method,shots,seed,accuracy,validation_accuracy,seconds,parameters,protocol"
    ]


def test_columns_are_aligned_and_empty_where_nothing_was_measured() -> None:
    columns = kshot_columns(METRICS)
    assert {len(column) for column in columns.values()} == {5}
    row = list(zip(columns["method"], columns["shots"], strict=True)).index(("Prototypes", 1))
    assert columns["accuracy"][row] == 0.7
    assert columns["auroc"][row] is None
    assert columns["accuracy ± 95 %"][row] is None
    assert 0.0123 in columns["accuracy ± 95 %"]
    assert "auroc ± 95 %" not in columns


def test_every_method_has_its_name() -> None:
    from cross_modal.fewshot.classifiers import METHODS

    assert set(NAMES) == set(METHODS)
