"""A twin on disk: a folder of `model.safetensors` (the weights) and `twin.json` (everything else). No pickle.

The folder is written aside and renamed, so that a reader never meets half a model. Loading needs no network and no
pretrained checkpoint: all weights are in the folder.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from cross_modal.configuration import TwinConfig
from cross_modal.encoders.build import build_twin
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError
from cross_modal.rebuild import rebuild

FORMAT = 1
WEIGHTS, DESCRIPTION = "model.safetensors", "twin.json"


def save_twin(twin: TwinEncoder, folder: str | Path, card: dict[str, Any] | None = None) -> Path:
    """Writes a twin.

    Args:
        twin: The twin.
        folder: The folder to make; one that exists is replaced.
        card: What else to keep with it, JSON-able: data digest, scores, mixture, loss.

    Returns:
        The folder.
    """
    from safetensors.torch import save_file

    from cross_modal import __version__

    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    weights = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in twin.state_dict().items()}
    save_file(weights, aside / WEIGHTS, metadata={"format": "pt"})
    description = {
        "format": FORMAT,
        "version": __version__,
        "twin": dataclasses.asdict(twin.config),
        "states": {
            name: trunk.state() for name, trunk in (("image", twin.image), ("text", twin.text)) if trunk is not None
        },
        "card": card or {},
    }
    (aside / DESCRIPTION).write_text(json.dumps(description, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    aside.chmod(0o755)
    if folder.exists():
        shutil.rmtree(folder)
    return aside.rename(folder)


def read_card(folder: str | Path) -> dict[str, Any]:
    """Reads `twin.json`.

    Args:
        folder: The model's folder.

    Returns:
        Its content; the user's part is under "card".

    Raises:
        CrossModalError: If the folder is no saved twin, or comes from a later format.
    """
    path = Path(folder) / DESCRIPTION
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CrossModalError(f"{folder}: expected a saved twin ({DESCRIPTION} and {WEIGHTS}), found none") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CrossModalError(f"{path}: expected JSON, found {error}") from None
    found = description.get("format") if isinstance(description, dict) else None
    if found != FORMAT:
        raise CrossModalError(f"{path}: expected a twin of format {FORMAT}, found {found!r}")
    return description


def load_twin(folder: str | Path) -> TwinEncoder:
    """Reads a twin.

    Args:
        folder: The model's folder.

    Returns:
        The twin in evaluation mode, on the CPU.

    Raises:
        CrossModalError: If the folder is no saved twin, or its weights do not fit its description.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    folder = Path(folder)
    description = read_card(folder)
    config = rebuild(TwinConfig, description["twin"])
    config.image.pretrained = config.text.pretrained = None  # the folder holds all weights
    twin = build_twin(config, states=description["states"])
    try:
        missing, unexpected = twin.load_state_dict(load_file(folder / WEIGHTS), strict=False)
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise CrossModalError(f"{folder / WEIGHTS}: expected the weights of {DESCRIPTION}, found {reason}") from None
    if missing or unexpected:
        name = (list(missing) + list(unexpected))[0]
        raise CrossModalError(
            f"{folder / WEIGHTS}: expected the weights of {DESCRIPTION}, found {len(missing)} missing and "
            f"{len(unexpected)} unknown ({name}, …)"
        )
    return twin.eval()
