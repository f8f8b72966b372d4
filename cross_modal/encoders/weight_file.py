"""Finds and reads the weights that a user names by a local path. Nothing in the file is ever executed.

safetensors holds nothing but tensors; .pt, .pth and .bin files are pickles, and are read with ``weights_only=True``,
which refuses all but tensors and primitives.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cross_modal.errors import CrossModalError

SUFFIXES = (".safetensors", ".bin", ".pth", ".pt")


def find_weights(folder: Path, preferred: Sequence[str]) -> Path:
    """Finds the one weight file of a folder.

    Args:
        folder: The folder.
        preferred: File names that win over all others, the best first.

    Returns:
        The path of the file.

    Raises:
        CrossModalError: If there is none, or several of which none is preferred.
    """
    for name in preferred:
        if (folder / name).is_file():
            return folder / name
    found = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES and path.is_file())
    found = [path for path in found if path.suffix == ".safetensors"] or found
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise CrossModalError(f"{folder}: expected one file of weights ({', '.join(SUFFIXES)}), found {names}")
    return found[0]


@contextmanager
def reading(path: Path, expected: str) -> Iterator[None]:
    r"""Turns what libraries raise over an unsafe, damaged or foreign weight file into one line.

    Args:
        path: The file that is read inside the block.
        expected: What it should hold, for the message.

    Raises:
        CrossModalError: If reading fails.

    Example:
        >>> with reading(Path("w.pt"), "weights of resnet18"):
        ...     raise RuntimeError("Error(s) in loading state_dict:\n Missing key(s): fc.weight")
        Traceback (most recent call last):
        cross_modal.errors.CrossModalError: w.pt: expected weights of resnet18, found Missing key(s): fc.weight
    """
    from safetensors import SafetensorError

    try:
        yield
    except pickle.UnpicklingError:
        raise CrossModalError(f"{path}: expected {expected} (tensors only), found a pickle of other things") from None
    except (RuntimeError, OSError, EOFError, KeyError, ValueError, TypeError, AttributeError, StopIteration) as error:
        if isinstance(error, CrossModalError):
            raise
        raise CrossModalError(f"{path}: expected {expected}, found {_reason(error)}") from None
    except SafetensorError as error:
        raise CrossModalError(f"{path}: expected {expected}, found {_reason(error)}") from None


def _reason(error: Exception) -> str:
    """The part of a long error that says something, on one line."""
    if isinstance(error.__cause__, pickle.UnpicklingError):
        return "a pickle of other things than tensors"
    text = " ".join(str(error).split()) or type(error).__name__
    _, found, rest = text.partition("Error(s) in loading state_dict")
    if found:
        text = rest.partition(": ")[2]
    return text if len(text) <= 160 else text[:159] + "…"
