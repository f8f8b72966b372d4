import json
import math
from pathlib import Path

import pytest
from rich.console import Console

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.report import Goal, Report, metric_table, write_json


def shown(metrics: dict[str, float], goals: dict[str, Goal] | None = None) -> str:
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(metric_table(metrics, goals))
    return console.export_text()


def test_a_narrow_terminal_cuts_no_name() -> None:
    name = "verification/picture_picture/equal_error/false_accept_rate"
    console = Console(width=60, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(metric_table({name: 0.25, f"{name}/ci95": 0.01}))
    lines = console.export_text().splitlines()
    assert "".join(line.split("│")[1].strip() for line in lines if line.startswith("│")) == name


def test_table_shows_percentages_with_their_intervals_and_goals() -> None:
    metrics = {
        "retrieval/image_to_text/recall_at_1": 0.5,
        "episodes/20way_1shot/accuracy": 0.98765,
        "episodes/20way_1shot/accuracy/ci95": 0.0011,
        "episodes/5way_1shot/accuracy": 0.99,
        "model/parameters": 1234567.0,
        "health/effective_rank": 12.345,
    }
    text = shown(metrics, {"episodes/20way_1shot/accuracy": Goal("≥ 97.5 %", True)})
    lines = text.splitlines()
    row = next(line for line in lines if "20way_1shot" in line)
    assert "98.77 %" in row
    assert "0.11 %" in row
    assert "≥ 97.5 %  reached" in row
    order = [text.index(name) for name in ("5way_1shot", "20way_1shot", "recall_at_1", "effective_rank")]
    assert order == sorted(order)
    assert "1,234,567" in text


def test_missed_goals_say_so() -> None:
    assert "missed" in shown(
        {"episodes/20way_1shot/accuracy": 0.1}, {"episodes/20way_1shot/accuracy": Goal("≥ 1", False)}
    )


def test_json_is_complete_and_strict(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text("old")
    write_json(Report("train", {"digest": "ab"}, {"a": 0.5, "b": math.nan}, {"data": 1.0}, "run"), path)
    content = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert content["metrics"] == {"a": 0.5, "b": None}
    assert list(content) == ["command", "version", "protocol", "metrics", "seconds", "run_id"]
    assert [each.name for each in tmp_path.iterdir()] == ["r.json"]


def test_a_report_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.mkdir()
    with pytest.raises(CrossModalError, match=r"r\.json"):
        write_json(Report("train", {}, {}), path)
    assert [each.name for each in tmp_path.iterdir()] == ["r.json"]
