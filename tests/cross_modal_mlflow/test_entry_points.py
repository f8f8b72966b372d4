"""``import mlflow`` with the plugin installed: everything is found, nothing heavy is imported, nothing can break it.

Each test has a process of its own: an MLflow that is imported already would hide all of it.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "open_clip", "timm", "optuna", "streamlit", "pytorch_metric_learning", "cross_modal", "sklearn")
FOUND = """
import sys, mlflow, mlflow.data
from mlflow.data.dataset_source_registry import get_registered_sources
from mlflow.tracking.context.registry import _run_context_provider_registry as contexts
assert mlflow.data.from_few_shot.__name__ == "from_few_shot"
assert "ItemsSource" in [each.__name__ for each in get_registered_sources()]
assert "CrossModalContext" in [type(each).__name__ for each in contexts]
"""
EVALUATOR = """
from mlflow.models.evaluation.evaluator_registry import _model_evaluation_registry as evaluators
assert evaluators.is_registered("few_shot")
"""
WITHOUT = """
import importlib.metadata as metadata
found = metadata.entry_points
metadata.entry_points = lambda **asked: [
    each for each in found(**asked) if not each.value.startswith("cross_modal_mlflow")
]
"""


def _python(code: str, *options: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    return subprocess.run(
        [sys.executable, *options, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment,
    )


def test_everything_is_found_nothing_heavy_imported_and_nothing_warned_of() -> None:
    heavy = f"print([name for name in {HEAVY!r} if name in sys.modules])"
    done = _python(f"{FOUND}\n{heavy}", "-W", "error")
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_the_evaluator_is_found_and_needs_nothing_heavy_of_ours() -> None:
    heavy = "print([name for name in ('torch', 'open_clip', 'optuna', 'cross_modal') if name in sys.modules])"
    done = _python(f"import sys\n{EVALUATOR}\n{heavy}", "-W", "error:Failure attempting")
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr


@pytest.mark.parametrize("module", ["dataset", "dataset.items_source", "evaluator", "pipeline"])
def test_everything_is_found_whichever_of_our_modules_comes_before_mlflow(module: str) -> None:
    done = _python(f"import cross_modal_mlflow.{module}\n{FOUND}\n{EVALUATOR}", "-W", "error:Failure attempting")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("error", ["RuntimeError", "ImportError", "SystemExit"])
def test_mlflow_is_imported_whatever_is_broken_in_what_we_need(tmp_path: Path, error: str) -> None:
    for name in HEAVY:
        if name != "sklearn":  # which MLflow needs itself
            (tmp_path / f"{name}.py").write_text(f"raise {error}('operator torchvision::nms does not exist')\n")
    done = _python(FOUND, "-W", "error", path=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_plugin_adds_its_own_modules_to_an_import_and_no_others() -> None:
    listing = "import sys, mlflow, mlflow.data\nprint(*sys.modules)"
    with_plugin, without = (set(_python(code).stdout.split()) for code in (listing, f"{WITHOUT}\n{listing}"))
    added = {name for name in with_plugin - without if not name.startswith("cross_modal_mlflow")}
    assert len(without) > 500
    assert added <= set(sys.stdlib_module_names)
