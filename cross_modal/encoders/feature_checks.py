"""What the feature store refuses to keep: shapes that do not fit, and numbers that half precision cannot hold.

What is stored is trusted by every later run, so it is looked at once, before it is written.
"""

from __future__ import annotations

import numpy as np

from cross_modal.encoders.feature_index import HALF, LONGEST
from cross_modal.encoders.key_order import KEY_BYTES
from cross_modal.errors import CrossModalError

_EXPONENT = np.uint16(0x7C00)  # all ones in infinities and NaN


def checked_keys(keys: np.ndarray) -> np.ndarray:
    """The keys, if they are (N, 16) uint8."""
    keys = np.asarray(keys)
    if keys.ndim != 2 or keys.shape[1] != KEY_BYTES or keys.dtype != np.uint8:
        raise CrossModalError(f"feature keys: expected (N, {KEY_BYTES}) uint8, found {keys.shape} {keys.dtype}")
    return keys


def check_shapes(keys: np.ndarray, values: np.ndarray, lengths: np.ndarray, pooled: np.ndarray | None) -> None:
    """Refuses values (T, D), lengths (N,) and pooled (N, E) that do not fit each other or the N keys."""
    if lengths.shape != (len(keys),):
        raise CrossModalError(f"features: expected lengths ({len(keys)},), one a key, found {lengths.shape}")
    if len(lengths) and not (lengths.min() >= 1 and lengths.max() <= LONGEST):
        row = int(np.flatnonzero((lengths < 1) | (lengths > LONGEST))[0])
        raise CrossModalError(f"features row {row}: expected at least 1 token, found a length of {lengths[row]}")
    if values.ndim != 2 or len(values) != lengths.sum() or not values.shape[1]:
        raise CrossModalError(f"features: expected values ({lengths.sum()}, D) for the lengths, found {values.shape}")
    if pooled is not None and (pooled.ndim != 2 or len(pooled) != len(keys) or not pooled.shape[1]):
        raise CrossModalError(f"features: expected pooled ({len(keys)}, E), found {pooled.shape}")


def as_half(numbers: np.ndarray, keys: np.ndarray, owners: np.ndarray, what: str) -> np.ndarray:
    """Numbers (n, D) as float16; refused where one is not finite, or too large for half precision (65,504)."""
    with np.errstate(over="ignore"):
        halves = np.ascontiguousarray(numbers, HALF)
    wrong = (halves.view(np.uint16) & _EXPONENT) == _EXPONENT
    if wrong.any():
        place, column = np.argwhere(wrong)[0]
        row = int(owners[place])
        raise CrossModalError(
            f"features row {row} (key {keys[row].tobytes().hex()}): expected finite {what} up to 65504 (half "
            f"precision), found {float(numbers[place, column])} in column {column}"
        )
    return halves
