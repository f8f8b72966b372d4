"""Model references: an MLflow URI (``runs:/ID/model``, ``models:/NAME@ALIAS``) or a folder become a folder."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.store import Store
from cross_modal_mlflow.tracking import tracking_for

_URI = re.compile(r"^(runs|models|mlflow-artifacts|s3|gs|dbfs|https?|file):")
_RUN_MODEL = re.compile(r"^runs:/(?P<run>[^/]+)/(?P<name>[^/]+)/?$")


def model_folder(reference: str, store: Callable[[], Store]) -> Path:
    """The folder of a model.

    Args:
        reference: What the user typed as MODEL.
        store: Gives the tracking store that MLflow's URIs are looked up in; a folder needs none.

    Returns:
        A folder on this machine; downloaded where it lies elsewhere.

    Raises:
        CrossModalError: If there is no such model.
    """
    if not _URI.match(reference):
        folder = Path(reference)
        if not folder.is_dir():
            raise CrossModalError(
                f"model {reference!r}: expected a folder, runs:/ID/model or models:/NAME@ALIAS, found no such folder"
            )
        return _inner(folder)
    import mlflow
    from mlflow.exceptions import MlflowException

    opened = store()
    uri = opened.uri
    try:
        with tracking_for(uri):
            found = mlflow.artifacts.download_artifacts(artifact_uri=_logged_model(reference, opened))
            return _inner(Path(found))
    except (MlflowException, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CrossModalError(f"model {reference!r}: expected a model in {uri}, found: {reason}") from error


def _logged_model(reference: str, store: Store) -> str:
    """Where a run's model lies, where the run logged one of that name; else the same reference.

    MLflow would look through every model of the experiment, copy what it finds even on one machine, or leave a file
    of its own in the store.
    """
    asked = _RUN_MODEL.match(reference)
    if asked is None:
        return reference
    outputs = store.client.get_run(asked["run"]).outputs
    models = [store.client.get_logged_model(each.model_id) for each in (outputs.model_outputs if outputs else [])]
    named = [model for model in models if model.name == asked["name"]]
    if not named:
        return reference
    newest = max(named, key=lambda model: model.creation_timestamp)  # a resumed sweep logs one at each end
    local = newest.artifact_location.startswith("file:")
    return newest.artifact_location if local else f"models:/{newest.model_id}"


def _inner(folder: Path) -> Path:
    """The twin's own folder: the folder itself, or the ``twin`` or ``model`` inside a run's or a flavor's."""
    from cross_modal.encoders.saved_twin import DESCRIPTION

    for candidate in (folder, folder / "model", folder / "twin"):
        if (candidate / DESCRIPTION).is_file():
            return candidate
    raise CrossModalError(f"model {folder}: expected a saved twin ({DESCRIPTION}), found none")
