"""A verification head on disk: one safetensors file beside the twin, its kind and sizes in the file's header.

No pickle. The file is written aside and renamed, so that a reader never meets half a head.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from cross_modal.errors import CrossModalError
from cross_modal.objectives.pair_head import HEADS, PairHead

FILE = "pair_head.safetensors"


def save_pair_head(head: PairHead, folder: str | Path) -> Path:
    """Writes a head into a saved twin's folder.

    Args:
        head: The head.
        folder: The folder, made where it does not exist; a head that is there is replaced.

    Returns:
        The file.
    """
    from safetensors.torch import save_file

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in head.state_dict().items()}
    header = {"format": "pt", "head": head.kind, "dim": str(head.dim), "normalise": str(head.normalise).lower()}
    handle, aside = tempfile.mkstemp(prefix=".pair_head-", dir=folder)
    os.close(handle)
    save_file(weights, aside, metadata=header)
    os.chmod(aside, 0o644)
    return Path(aside).replace(folder / FILE)


def load_pair_head(folder: str | Path) -> PairHead | None:
    """Reads the head of a saved twin.

    Args:
        folder: The folder.

    Returns:
        The head in evaluation mode, on the CPU; None where the twin was saved without one.

    Raises:
        CrossModalError: For a file that is no head, or whose weights do not fit its header.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(folder) / FILE
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        head = HEADS[header["head"]](int(header["dim"]), header["normalise"] == "true")
        head.load_state_dict(weights)
    except (OSError, SafetensorError, RuntimeError, KeyError, ValueError) as error:
        reason = str(error).splitlines()[-1].strip() or type(error).__name__
        raise CrossModalError(f"{path}: expected a verification head, found {reason}") from None
    return head.eval()
