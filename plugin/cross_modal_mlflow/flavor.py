"""The MLflow flavor ``cross_modal_mlflow``: a twin as an MLflow model, native and as a pyfunc.

    info = cross_modal_mlflow.log_model(twin, card={"data": "birds"})
    twin = cross_modal_mlflow.load_model(info.model_uri)
    answers = mlflow.pyfunc.load_model(info.model_uri).predict(table, params={"task": "classify"})

A model's folder holds `twin/` and, where one was given, `support/`: safetensors and JSON, nothing that is executed or
unpickled, so that it loads natively with MLflow's code execution and pickle loading switched off.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cross_modal.errors import CrossModalError
from cross_modal_mlflow import flavor_compat
from cross_modal_mlflow.flavor_compat import Requirements
from cross_modal_mlflow.model_summary import model_summary
from cross_modal_mlflow.signature import default_signature

if TYPE_CHECKING:
    from mlflow.models import Model, ModelSignature
    from mlflow.models.model import ModelInfo

    from cross_modal.encoders.twin import TwinEncoder
    from cross_modal.objectives.pair_head import PairHead
    from cross_modal.verification.saved_calibration import SavedCalibration
    from cross_modal_mlflow.logged_support import LoggedSupport
    from cross_modal_mlflow.served_twin import ServedTwin

FLAVOR_NAME = "cross_modal_mlflow"  # also the loader's module: it stands in every saved model, so it never changes
TWIN, SUPPORT = "twin", "support"  # folders of a model
SWITCHES = {"allow_paths": False, "allow_urls": False}  # whoever loads a model may change what stands in it, no more
_REQUIRED = (
    "cross-modal",
    "mlflow",
    "torch",
    "torchvision",
    "open_clip_torch",
    "timm",
    "tokenizers",
    "safetensors",
    "scikit-learn",
    "numpy",
    "pandas",
    "pillow",
)


def save_model(
    twin: TwinEncoder,
    path: str | Path,
    *,
    card: dict[str, Any] | None = None,
    support: LoggedSupport | None = None,
    calibration: SavedCalibration | None = None,
    pair_head: PairHead | None = None,
    signature: ModelSignature | Literal[False] | None = None,
    input_example: Any = None,
    pip_requirements: Requirements = None,
    extra_pip_requirements: Requirements = None,
    conda_env: dict[str, Any] | str | None = None,
    code_paths: list[str] | None = None,
    metadata: dict[str, Any] | None = None,
    mlflow_model: Model | None = None,
) -> None:
    """Writes a twin as an MLflow model.

    Args:
        twin: The twin.
        path: The folder to make; it must not exist, or be empty.
        card: What else to keep with the twin, JSON-able; trunk, loss, margin, data digest and scores of it also stand
            in the model's metadata.
        support: An encoded support set, for requests that bring none.
        calibration: Thresholds and probabilities of "same or not", for the task "verify".
        pair_head: What scores pairs in place of the twin's metric.
        signature: The model's signature; None takes `default_signature`, False leaves it out.
        input_example: A request, or a tuple of a request and its params.
        pip_requirements: What the model needs: a list, or the path of a file; None takes the default. Nothing is
            inferred: that takes seconds and finds no more.
        extra_pip_requirements: Added to the default.
        conda_env: A conda environment or the path of its file, in place of pip requirements.
        code_paths: Files and folders of code that the pyfunc needs; native loading leaves them alone.
        metadata: The caller's own fields of the model's metadata.
        mlflow_model: The model that `Model.log` fills in.

    Raises:
        CrossModalError: If twin, support or signature are something else, or the support is of another twin.
        MlflowException: If the folder holds something.
        ValueError: If requirements are given in two ways.
    """
    import mlflow.pyfunc
    from mlflow.models import Model

    _check(twin, support, signature)
    flavor_compat.check_environment(conda_env, pip_requirements, extra_pip_requirements)
    from cross_modal.encoders.saved_twin import save_twin
    from cross_modal.objectives.pair_head_file import save_pair_head

    folder = Path(path).absolute()
    code = flavor_compat.prepare_folder(folder, code_paths)
    model = Model() if mlflow_model is None else mlflow_model
    save_twin(twin, folder / TWIN, card)
    if calibration is not None:
        calibration.save(folder / TWIN)
    if pair_head is not None:
        save_pair_head(pair_head, folder / TWIN)
    if support is not None:
        support.save(folder / SUPPORT)
    flavor_compat.save_example(model, input_example, folder)
    if signature is not False:
        model.signature = default_signature() if signature is None else signature
    summary = model_summary(twin, card)
    model.metadata = {FLAVOR_NAME: summary, **(model.metadata or {}), **(metadata or {})}
    mlflow.pyfunc.add_to_model(
        model,
        loader_module=FLAVOR_NAME,
        code=code,
        conda_env=flavor_compat.CONDA,
        python_env=flavor_compat.PYTHON,
        model_config=dict(SWITCHES),
    )
    inside = {"twin": TWIN} | ({} if support is None else {"support": SUPPORT})
    trunks = {name: summary[name] for name in ("image_trunk", "text_trunk", "dim")}
    model.add_flavor(FLAVOR_NAME, cross_modal_version=_version("cross-modal"), code=code, **inside, **trunks)
    model.model_size_bytes = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    model.save(str(folder / "MLmodel"))
    flavor_compat.write_environment(
        folder, get_default_pip_requirements(), pip_requirements, extra_pip_requirements, conda_env
    )


def log_model(
    twin: TwinEncoder,
    name: str = "model",
    *,
    card: dict[str, Any] | None = None,
    support: LoggedSupport | None = None,
    calibration: SavedCalibration | None = None,
    pair_head: PairHead | None = None,
    registered_model_name: str | None = None,
    params: dict[str, Any] | None = None,
    tags: dict[str, Any] | None = None,
    model_type: str | None = None,
    step: int = 0,
    model_id: str | None = None,
    **kwargs: Any,
) -> ModelInfo:
    """Logs a twin as a LoggedModel of the active run; without a run it belongs to the experiment alone.

    Args:
        twin: The twin.
        name: The model's name; MLflow forbids ``/ : .`` in it.
        card: As for `save_model`.
        support: As for `save_model`.
        calibration: As for `save_model`.
        pair_head: As for `save_model`.
        registered_model_name: Also registers it as a new version of this registered model.
        params: Params of the LoggedModel; those of the run are added.
        tags: Its tags.
        model_type: Its type, any word.
        step: The step of the run that the twin was taken at.
        model_id: An existing LoggedModel to fill.
        **kwargs: Further arguments of `save_model`, and of MLflow's `Model.log` (``run_id``, …).

    Returns:
        What MLflow knows of the model: ``model_uri``, ``model_id``, …
    """
    from mlflow.models import Model

    import cross_modal_mlflow

    return Model.log(
        artifact_path=None,
        name=name,
        flavor=cross_modal_mlflow,
        registered_model_name=registered_model_name,
        params=params,
        tags=tags,
        model_type=model_type,
        step=step,
        model_id=model_id,
        twin=twin,
        card=card,
        support=support,
        calibration=calibration,
        pair_head=pair_head,
        **kwargs,
    )


def load_model(model_uri: str, dst_path: str | None = None) -> TwinEncoder:
    """Loads a logged twin: tensors and JSON; code that was logged with it is neither run nor put on the path.

    Args:
        model_uri: ``models:/NAME@ALIAS``, ``models:/MODEL_ID``, ``runs:/ID/NAME``, another artifact URI, or a folder.
        dst_path: Where to download it to; None keeps a local model where it is.

    Returns:
        The twin, in evaluation mode, on the CPU.

    Raises:
        CrossModalError: If the model is of another flavor, or damaged.
        MlflowException: If MLflow finds no such model.
    """
    import mlflow.artifacts
    from mlflow.models import Model

    from cross_modal.encoders.saved_twin import load_twin

    folder = Path(mlflow.artifacts.download_artifacts(artifact_uri=model_uri, dst_path=dst_path))
    flavors = Model.load(str(folder)).flavors
    if FLAVOR_NAME not in flavors:
        raise CrossModalError(f"model {model_uri}: expected the flavor {FLAVOR_NAME}, found {', '.join(flavors)}")
    return load_twin(folder / TWIN)


def _load_pyfunc(path: str, model_config: dict[str, Any] | None = None) -> ServedTwin:
    """What `mlflow.pyfunc.load_model`, servers and Spark call.

    Args:
        path: The model's folder.
        model_config: Settings of whoever loads it: ``allow_paths`` and ``allow_urls`` let requests name pictures.

    Returns:
        The twin with a `predict`.
    """
    import mlflow.pyfunc
    from mlflow.models import Model

    from cross_modal_mlflow.served_twin import ServedTwin

    logged = Model.load(str(path)).flavors.get(mlflow.pyfunc.FLAVOR_NAME, {}).get("config") or {}
    # A model never gives itself leave to read the server's files: what stands in it as switched on is no caller's word.
    given = {name: value for name, value in (model_config or {}).items() if not logged.get(name)}
    return ServedTwin.load(path, given)


def get_default_pip_requirements() -> list[str]:
    """What a logged twin needs, pinned to the installed versions.

    ``cross-modal`` itself is among it. Where it cannot be had from an index, log the model with
    ``code_paths=[…]`` and ``pip_requirements=[…]``, or let ``PIP_FIND_LINKS`` or ``UV_FIND_LINKS`` name a folder with
    its wheel.

    >>> [line.partition("==")[0] for line in get_default_pip_requirements()][:3]
    ['cross-modal', 'mlflow', 'torch']
    """
    return [f"{name}=={found}" for name in _REQUIRED if (found := _version(name)) is not None]


def get_default_conda_env() -> dict[str, Any]:
    """A conda environment of the default requirements."""
    return flavor_compat.conda_environment(get_default_pip_requirements())


def _version(name: str) -> str | None:
    """The installed version of a distribution, without its local part (``+cpu``), which no index has."""
    try:
        return version(name).partition("+")[0]
    except PackageNotFoundError:
        return None


def _check(twin: object, support: object, signature: object) -> None:
    from mlflow.models import ModelSignature

    from cross_modal.encoders.twin import TwinEncoder
    from cross_modal_mlflow.logged_support import LoggedSupport

    if not isinstance(twin, TwinEncoder):
        raise CrossModalError(f"model: expected a TwinEncoder, found {type(twin).__name__}")
    if support is not None:
        if not isinstance(support, LoggedSupport):
            found = type(support).__name__
            raise CrossModalError(f"support: expected a LoggedSupport (of encode_support), found {found}")
        support.check_twin(twin)
    if signature is not None and signature is not False and not isinstance(signature, ModelSignature):
        raise CrossModalError(f"signature: expected a ModelSignature, False or None, found {type(signature).__name__}")
