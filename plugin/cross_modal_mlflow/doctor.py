"""What ``cross-modal doctor`` finds: checks of the installation and of the places that commands write to.

A doctor is called when something is broken, so no check may need another one's subject to work: each imports what it
looks at itself, torch and MLflow in processes of their own, and a check that fails is a finding like any other.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Status = Literal["ok", "warning", "broken"]
LITTLE = 10**9  # bytes of free space below which something is said


@dataclass(frozen=True)
class Check:
    """What was looked at, and what was found.

    Attributes:
        name: What was looked at.
        status: "ok"; "warning", where work goes on; "broken", where it does not.
        found: What was found, one line.
        advice: What to do, one line; a command where there is one. Empty where nothing is to be done.
    """

    name: str
    status: Status
    found: str
    advice: str = ""


def examine() -> list[Check]:
    """Runs every check, installation first.

    Returns:
        What was found, in the order of the table; never empty.
    """
    from cross_modal_mlflow.installation_checks import installation_checks
    from cross_modal_mlflow.store_checks import store_checks

    found: list[Check] = []
    for name, checks in (
        ("installation", installation_checks),
        ("tracking store", store_checks),
        ("folders", folder_checks),
    ):
        found += guarded(name, checks)
    return found


def guarded(name: str, checks: Callable[[], Iterable[Check]]) -> Iterator[Check]:
    """The checks, and as one more of them the exception that ended them early.

    >>> def fails():
    ...     yield Check("a", "ok", "here")
    ...     raise OSError("disk on fire")
    >>> [check.status for check in guarded("b", fails)]
    ['ok', 'broken']
    """
    try:
        yield from checks()
    except Exception as error:
        said = " ".join(str(error).split())[:300]
        yield Check(name, "broken", f"{type(error).__name__}: {said}", "report it, with what else stands here")


def folder_checks() -> Iterator[Check]:
    """The working folder, the temporary one and the feature store: can they be written to, is there room?"""
    from cross_modal_mlflow.store import FOLDER, tracking_uri

    if tracking_uri().startswith("sqlite:"):
        yield writable("working folder", FOLDER.absolute(), "cd to a folder that you may write to")
    yield writable("temporary files", Path(tempfile.gettempdir()), "export TMPDIR=FOLDER")
    yield from guarded("feature store", _feature_store)


def _feature_store() -> Iterator[Check]:
    from cross_modal.encoders.feature_store import FeatureStore, default_root
    from cross_modal_mlflow.amounts import size

    root = default_root()
    if root is None:
        yield Check("feature store", "ok", "switched off (CROSS_MODAL_CACHE=off)")
        return
    check = writable("feature store", root, "export CROSS_MODAL_CACHE=FOLDER, or CROSS_MODAL_CACHE=off")
    if check.status == "ok" and root.is_dir():
        held = size(FeatureStore(root).size_bytes)
        check = Check(check.name, "ok", f"{root}: holds {held}, cross-modal cache lists it")
    elif check.status == "broken" and not os.environ.get("CROSS_MODAL_CACHE"):
        check = Check(check.name, "warning", f"{check.found}; features are computed anew every time", check.advice)
    yield check


def writable(name: str, folder: Path, advice: str) -> Check:
    """Whether files can be made in a folder, or in the nearest one above it that exists: by making one.

    Args:
        name: Of the check.
        folder: The folder.
        advice: What to do where they cannot.
    """
    from cross_modal_mlflow.amounts import size

    nearest = folder
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    where = str(folder) if nearest == folder else f"{folder} (to be made)"
    try:
        with tempfile.NamedTemporaryFile(dir=nearest):
            free = shutil.disk_usage(nearest).free
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        return Check(name, "broken", f"{where}: cannot be written to ({reason})", advice)
    if free < LITTLE:
        return Check(name, "warning", f"{where}: {size(free)} are free", "make room; a training run takes some 100 MB")
    return Check(name, "ok", f"{where}: {size(free)} are free")
