import json
from pathlib import Path

import pytest

from cross_modal_mlflow import doctor
from cross_modal_mlflow.command_line import main
from cross_modal_mlflow.commands.doctor import said
from cross_modal_mlflow.doctor import Check

FINE = Check("python", "ok", "3.11")
WARNS = Check("disk", "warning", "12 MB are free", "make room")
BROKEN = Check("torch", "broken", "no [nms]", "python -m pip install torch")


def test_what_is_broken_comes_first_and_fine_is_not_mentioned() -> None:
    lines = said([FINE, WARNS, BROKEN])
    assert lines[0] == "1 of 3 checks found something broken"
    assert lines[-2:] == ["  torch: python -m pip install torch", "  disk: make room"]
    assert said([FINE]) == ["all is well"]
    assert said([FINE, WARNS])[0] == "nothing is broken, 1 of 2 checks warn"


@pytest.mark.parametrize(("checks", "code"), [([FINE], 0), ([FINE, WARNS], 0), ([WARNS, BROKEN], 1)])
def test_the_exit_code_says_whether_something_is_broken(
    checks: list[Check],
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(doctor, "examine", lambda: checks)
    assert main(["doctor", "--json", str(tmp_path / "doctor.json"), "--packages"]) == code
    shown = capsys.readouterr().out
    assert all(check.found in shown for check in checks)
    assert "mlflow==3" in shown
    written = json.loads((tmp_path / "doctor.json").read_text())
    assert written["command"] == "doctor"
    assert written["broken"] == code
    assert [check["found"] for check in written["checks"]] == [check.found for check in checks]
    assert "torch" in written["packages"]


def test_an_unknown_option_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--fix"]) == 2
    assert "--fix: no such option" in capsys.readouterr().err


@pytest.mark.slow
def test_this_installation_is_well(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0, capsys.readouterr().out
    shown = capsys.readouterr().out
    assert "few_shot" in shown
    assert "torchvision" in shown
