"""Everything that touches the experiment platform: MLflow flavor, evaluator, datasets, tracking, the command line.

The package is an MLflow flavor: ``cross_modal_mlflow.log_model(twin)``, ``mlflow.pyfunc.load_model(uri)``. Its names
are imported when they are first asked for: MLflow imports the plugin's entry points with every ``import mlflow``, and
that must cost nothing, whatever the rest of the package needs.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cross_modal_mlflow.autologging import autolog
    from cross_modal_mlflow.flavor import (
        FLAVOR_NAME,
        _load_pyfunc,
        get_default_conda_env,
        get_default_pip_requirements,
        load_model,
        log_model,
        save_model,
    )

__all__ = [
    "FLAVOR_NAME",
    "_load_pyfunc",
    "autolog",
    "get_default_conda_env",
    "get_default_pip_requirements",
    "load_model",
    "log_model",
    "save_model",
]
_HOME = dict.fromkeys(__all__, "cross_modal_mlflow.flavor") | {"autolog": "cross_modal_mlflow.autologging"}


def __getattr__(name: str) -> Any:
    """Imports a name when it is first asked for (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return globals().setdefault(name, getattr(import_module(_HOME[name]), name))


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
