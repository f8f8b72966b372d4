import sys
import tomllib
from collections.abc import Callable
from importlib.metadata import EntryPoint, PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

import pytest

from cross_modal_mlflow import installation_checks
from cross_modal_mlflow.installation_checks import (
    GROUPS,
    command_check,
    entry_point_check,
    fresh_python,
    mlflow_check,
    package_checks,
    torch_checks,
)

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def test_the_groups_are_those_of_the_project() -> None:
    declared = tomllib.loads(PROJECT.read_text())["project"]["entry-points"]
    assert set(GROUPS) == {group for group in declared if group.startswith("mlflow.")}


@pytest.mark.parametrize("group", GROUPS)
def test_every_entry_point_is_found_and_loads(group: str) -> None:
    assert entry_point_check(group, "").status == "ok"


def test_a_missing_entry_point_says_what_is_lost() -> None:
    check = entry_point_check("mlflow.no_such_group", "the moon")
    assert check.status == "broken"
    assert "the moon is missing" in check.found
    assert "pip install" in check.advice


def test_an_entry_point_that_does_not_load_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("few_shot", "cross_modal_mlflow.no_such_module:Evaluator", "mlflow.model_evaluator")
    foreign = EntryPoint("other", "no_such_package:Evaluator", "mlflow.model_evaluator")
    monkeypatch.setattr(installation_checks, "entry_points", lambda group: [point, foreign])
    check = entry_point_check("mlflow.model_evaluator", "")
    assert check.status == "broken"
    assert "few_shot: ModuleNotFoundError" in check.found
    assert "other" not in check.found


def test_packages_are_all_there() -> None:
    (check,) = package_checks()
    assert check.status == "ok"
    assert "cross-modal" in check.found


def replaced(name: str, found: str | None) -> Callable[[str], str]:
    """`version`, with one package's replaced; None takes it away."""

    def lookup(package: str) -> str:
        if package != name:
            return version(package)
        if found is None:
            raise PackageNotFoundError(package)
        return found

    return lookup


@pytest.mark.parametrize(("found", "says"), [(None, "not installed"), ("1.0", "found 1.0")])
def test_a_package_missing_or_too_old(found: str | None, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation_checks, "version", replaced("mlflow", found))
    (check,) = package_checks()
    assert check.status == "broken"
    assert "mlflow>=" in check.found
    assert says in check.found
    assert check.advice.startswith("python -m pip install --upgrade 'mlflow>=")


def test_extras_are_not_required(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [*(requires("cross-modal") or []), 'no-such-package>=1; extra == "gallery"']
    monkeypatch.setattr(installation_checks, "requires", lambda name: lines)
    assert [check.status for check in package_checks()] == ["ok"]


def test_a_package_that_is_not_installed_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation_checks, "DISTRIBUTION", "no-such-distribution")
    (check,) = package_checks()
    assert check.status == "broken"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("print(1); print(2)", ("2", "")),
        ("raise RuntimeError('operator torchvision::nms does not exist')", (None, "torchvision::nms")),
        ("import os; os.abort()", (None, "code -6")),
        ("pass", (None, "code 0")),
    ],
)
def test_another_python_may_die_as_it_likes(code: str, expected: tuple[Any, str]) -> None:
    output, error = fresh_python(code)
    assert output == expected[0]
    assert expected[1] in error


def test_another_python_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation_checks, "_PATIENCE", 0.2)
    assert fresh_python("import time; time.sleep(60)") == (None, "no answer within 0.2 s")


def answers(monkeypatch: pytest.MonkeyPatch, output: str | None, error: str = "") -> None:
    monkeypatch.setattr(installation_checks, "fresh_python", lambda code: (output, error))


def test_torch_that_does_not_go_with_torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, None, "RuntimeError: operator torchvision::nms does not exist")
    (check,) = torch_checks()
    assert check.status == "broken"
    assert f"torch {version('torch')}, torchvision {version('torchvision')}: RuntimeError" in check.found
    assert "torch torchvision" in check.advice


@pytest.mark.parametrize(
    ("output", "says"),
    [
        ('["2.6", "0.21", "12.4", true, "H200"]', "H200, CUDA 12.4"),
        ('["2.6", "0.21", "12.4", false, ""]', "CPU (torch is built for CUDA 12.4"),
        ('["2.6", "0.21", null, false, ""]', "CPU (torch is built without CUDA)"),
    ],
)
def test_what_torch_runs_on(output: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, output)
    pair, accelerator = torch_checks()
    assert (pair.status, accelerator.status) == ("ok", "ok")
    assert says in accelerator.found


def test_an_mlflow_that_cannot_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, None, "ImportError: cannot import name x")
    assert mlflow_check().status == "broken"
    answers(monkeypatch, '["3.17.2", 3.4, true]')
    assert mlflow_check().status == "warning"
    answers(monkeypatch, '["3.17.2", 1.6, false]')
    assert mlflow_check().status == "ok"


def test_the_mlflow_of_another_python_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beside = Path(sys.executable).parent
    monkeypatch.setenv("PATH", str(beside))
    assert command_check().status == "ok"
    other = tmp_path / "mlflow"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "another Python" in command_check().found
    monkeypatch.setenv("PATH", "/nowhere")
    check = command_check()
    assert (check.status, check.found) == ("warning", "not on the PATH")
    assert str(beside) in check.advice
