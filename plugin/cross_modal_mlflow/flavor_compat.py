"""All that the flavor needs of MLflow's private functions, in one place: the one to mend when MLflow moves them.

MLflow has no public way to write a flavor: its own flavors and every community flavor call these functions. They are
looked up when they are used, so that an MLflow that lacks one still imports the package.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from mlflow.models import Model

Requirements = list[str] | str | None

CONDA, PYTHON, REQUIREMENTS, CONSTRAINTS = "conda.yaml", "python_env.yaml", "requirements.txt", "constraints.txt"


def check_environment(
    conda_env: dict[str, Any] | str | None, pip_requirements: Requirements, extra_pip_requirements: Requirements
) -> None:
    """Refuses more than one way to say which packages a model needs.

    Raises:
        ValueError: If more than one is given.
    """
    from mlflow.utils.environment import _validate_env_arguments

    _validate_env_arguments(conda_env, pip_requirements, extra_pip_requirements)


def prepare_folder(folder: Path, code_paths: list[str] | None) -> str | None:
    """Makes the model's folder, which must be new or empty, and copies code into it.

    Returns:
        The code's folder inside it; None without code.

    Raises:
        MlflowException: If the folder holds something, or a code path cannot be copied.
    """
    from mlflow.utils.model_utils import _validate_and_copy_code_paths, _validate_and_prepare_target_save_path

    _validate_and_prepare_target_save_path(str(folder))
    return _validate_and_copy_code_paths(code_paths, str(folder))


def save_example(model: Model, example: Any, folder: Path) -> None:
    """Writes the input example, and the request that a server would get for it; nothing for None."""
    from mlflow.models.utils import _save_example

    _save_example(model, example, str(folder))


def conda_environment(requirements: list[str]) -> dict[str, Any]:
    """A conda environment of pip requirements."""
    from mlflow.utils.environment import _mlflow_conda_env

    return _mlflow_conda_env(additional_pip_deps=requirements)


def write_environment(
    folder: Path,
    default: list[str],
    pip_requirements: Requirements,
    extra_pip_requirements: Requirements,
    conda_env: dict[str, Any] | str | None,
) -> None:
    """Writes the four files that say what a model needs.

    Args:
        folder: The model's folder.
        default: Requirements where the caller gave none of the others.
        pip_requirements: A list, or the path of a requirements file.
        extra_pip_requirements: To be added to the default.
        conda_env: A conda environment, or the path of its file.
    """
    from mlflow.utils.environment import _process_conda_env, _process_pip_requirements, _PythonEnv

    if conda_env is None:
        environment, requirements, constraints = _process_pip_requirements(
            list(default), pip_requirements, extra_pip_requirements
        )
    else:
        environment, requirements, constraints = _process_conda_env(conda_env)
    (folder / CONDA).write_text(yaml.safe_dump(environment, default_flow_style=False), encoding="utf-8")
    (folder / REQUIREMENTS).write_text("\n".join(requirements), encoding="utf-8")
    if constraints:
        (folder / CONSTRAINTS).write_text("\n".join(constraints), encoding="utf-8")
    _PythonEnv.current().to_yaml(str(folder / PYTHON))
