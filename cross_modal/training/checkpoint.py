"""Checkpoints: tensors and primitives in one file, written atomically, read without running any code.

`torch.save` writes what it is given; what makes a file safe is that it is read with ``weights_only=True``, which
refuses anything but tensors and primitives. Writing goes to a neighbour file that is synced and renamed: a full disk or
a killed process leaves the previous checkpoint whole.
"""

from __future__ import annotations

import os
import pickle
import tempfile
from pathlib import Path
from typing import Any

import torch

from cross_modal.errors import CrossModalError


def save_checkpoint(path: str | Path, content: dict[str, Any]) -> None:
    """Writes a checkpoint atomically.

    Args:
        path: The file; its folder is made.
        content: Tensors and primitives, nested in dicts, lists and tuples.

    Raises:
        CrossModalError: If the disk does not take it; the previous file stays.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except (OSError, RuntimeError) as error:
        raise CrossModalError(
            f"{path}: the checkpoint could not be written ({error}); the previous one stays"
        ) from None
    finally:
        Path(aside).unlink(missing_ok=True)


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """Reads a checkpoint, on the CPU.

    Args:
        path: The file.

    Returns:
        Its content.

    Raises:
        CrossModalError: If it is missing, damaged, or holds anything but tensors and primitives.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CrossModalError(f"{path}: expected a checkpoint, found no such file") from None
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise CrossModalError(f"{path}: expected tensors and primitives only, refused: {reason}") from None
    if not isinstance(content, dict):
        raise CrossModalError(f"{path}: expected a checkpoint, found a {type(content).__name__}")
    return content
