import math
from pathlib import Path

import pytest

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.kshot_result import KShotResult, KShotRow
from cross_modal_mlflow import kshot_outcome
from cross_modal_mlflow.kshot_outcome import KShotOutcome, check_csv, write_csv
from cross_modal_mlflow.report import Report

RESULT = KShotResult([KShotRow("prototypes", 1, 1, 0.5, {}, 0.1, math.nan)], "toys K=1", [], {}, [])
OUTCOME = KShotOutcome(Report("evaluate", {}, RESULT.metrics()), RESULT, [])


def test_the_csv_is_whole_and_replaces_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "fits.csv"
    file.write_text("old")
    check_csv(str(file))
    write_csv(OUTCOME, str(file))
    assert file.read_text().splitlines()[1].startswith("prototypes,1,1,0.5,")
    assert list(tmp_path.iterdir()) == [file]


def test_a_failure_half_way_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "fits.csv"
    file.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kshot_outcome.os, "replace", full)
    with pytest.raises(CrossModalError, match="could not be written \\(No space left"):
        write_csv(OUTCOME, str(file))
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_the_csv_is_looked_at_before_the_work(tmp_path: Path) -> None:
    check_csv(None)
    check_csv(str(tmp_path / "made" / "fits.csv"))
    assert (tmp_path / "made").is_dir()
    with pytest.raises(CrossModalError, match="--csv: expected a file"):
        check_csv(str(tmp_path))
