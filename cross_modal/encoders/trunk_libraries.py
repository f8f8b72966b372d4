"""Imports open_clip and timm, and says in one line what is wrong with an installation that cannot.

Both import torchvision, whose operators are compiled against one build of torch. A CUDA build of torchvision beside a
CPU build of torch fails at import with "operator torchvision::nms does not exist" (pytorch/vision#9085, #9077); the
traceback names neither package nor cure.
"""

from __future__ import annotations

import importlib
from importlib import metadata
from types import ModuleType

from cross_modal.errors import CrossModalError

_INDEX = "https://download.pytorch.org/whl/"


def import_open_clip() -> ModuleType:
    """Imports open_clip.

    Raises:
        CrossModalError: If torchvision does not match torch.

    Example:
        >>> import_open_clip().__name__
        'open_clip'
    """
    return _import("open_clip")


def import_timm() -> ModuleType:
    """Imports timm.

    Raises:
        CrossModalError: If torchvision does not match torch.

    Example:
        >>> import_timm().__name__
        'timm'
    """
    return _import("timm")


def require_transformers(thing: str) -> None:
    """Asks for the package transformers, which only some open_clip models need.

    Args:
        thing: What needs it, for the message.

    Raises:
        CrossModalError: If it is not installed.
    """
    try:
        importlib.import_module("transformers")
    except ImportError:
        raise CrossModalError(f"{thing} needs the extra hf: pip install 'cross-modal[hf]'") from None


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except (RuntimeError, ImportError, OSError) as error:
        if "torchvision" not in str(error):
            raise
        raise CrossModalError(_mismatch()) from None


def _mismatch() -> str:
    """Names the two builds, and the command that installs a pair which matches."""
    import torch

    index = _INDEX + ("cu" + torch.version.cuda.replace(".", "") if torch.version.cuda else "cpu")
    torch_version = torch.__version__.split("+")[0]
    return (
        f"torchvision {_version('torchvision')} is not built for torch {torch.__version__}: expected both from one "
        f"index, install the pair: pip install --force-reinstall torch=={torch_version} torchvision --index-url {index}"
    )


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "(none)"
