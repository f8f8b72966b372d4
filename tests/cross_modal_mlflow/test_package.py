"""The package's own door: names that are imported when they are asked for, and an import that costs nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

import cross_modal_mlflow


def python(program: str) -> subprocess.CompletedProcess[str]:
    """Runs a program in a fresh process: this one has imported everything long ago."""
    return subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)


def test_importing_the_package_imports_nothing_of_weight() -> None:
    done = python(
        "import sys, cross_modal_mlflow; print(sorted({'torch', 'mlflow', 'pandas', 'numpy'} & {*sys.modules}))"
    )
    assert (done.stderr, done.stdout) == ("", "[]\n")


def test_the_package_is_a_flavor() -> None:
    flavor = ("FLAVOR_NAME", "save_model", "log_model", "load_model", "_load_pyfunc")
    environment = ("get_default_pip_requirements", "get_default_conda_env")
    assert {*flavor, *environment, "autolog"} <= {*dir(cross_modal_mlflow)}
    assert cross_modal_mlflow.FLAVOR_NAME == "cross_modal_mlflow"
    assert all(callable(getattr(cross_modal_mlflow, name)) for name in (*flavor[1:], *environment))


def test_the_flavors_functions_need_no_torch_to_be_named() -> None:
    done = python("import sys, cross_modal_mlflow as c; c.log_model, c.load_model; print('torch' in sys.modules)")
    assert (done.stderr, done.stdout) == ("", "False\n")


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
        _ = cross_modal_mlflow.no_such_name


def test_no_submodule_hides_a_name() -> None:
    folder = Path(cross_modal_mlflow.__file__).parent
    assert not {path.stem for path in folder.iterdir()} & {*cross_modal_mlflow.__all__}
