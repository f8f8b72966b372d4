import numpy as np
import pytest

from cross_modal.encoders.feature_checks import as_half, check_shapes, checked_keys
from cross_modal.errors import CrossModalError

KEYS = np.arange(32, dtype=np.uint8).reshape(2, 16)


@pytest.mark.parametrize("keys", [KEYS[:, :15], KEYS[0], KEYS.astype(np.int64)])
def test_keys_are_rows_of_16_bytes(keys: np.ndarray) -> None:
    with pytest.raises(CrossModalError, match=r"expected \(N, 16\) uint8, found"):
        checked_keys(keys)


@pytest.mark.parametrize(
    ("values", "lengths", "pooled", "says"),
    [
        ((3, 4), [2, 2], None, r"expected values \(4, D\)"),
        ((3,), [2, 1], None, r"expected values \(3, D\)"),
        ((3, 0), [2, 1], None, r"expected values \(3, D\)"),
        ((3, 4), [3], None, r"expected lengths \(2,\)"),
        ((3, 4), [3, 0], None, "row 1: expected at least 1 token, found a length of 0"),
        ((3, 4), [4, -1], None, "row 1: expected at least 1 token, found a length of -1"),
        ((3, 4), [2, 1], (3, 5), r"expected pooled \(2, E\)"),
        ((3, 4), [2, 1], (2, 0), r"expected pooled \(2, E\)"),
    ],
)
def test_shapes_must_fit(values: tuple, lengths: list[int], pooled: tuple | None, says: str) -> None:
    with pytest.raises(CrossModalError, match=says):
        check_shapes(KEYS, np.zeros(values), np.array(lengths), None if pooled is None else np.zeros(pooled))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 70_000.0, -65_520.0])
def test_numbers_that_half_precision_cannot_hold_are_refused_by_row(wrong: float) -> None:
    numbers = np.full((3, 4), 65_504.0)
    numbers[2, 1] = wrong
    with pytest.raises(CrossModalError, match=r"row 1 \(key 101112.*\): expected finite token values .* in column 1$"):
        as_half(numbers, KEYS, np.array([0, 0, 1]), "token values")


def test_numbers_are_rounded_to_the_nearest_half() -> None:
    halves = as_half(np.array([[1.0, 1.0004, -65_504.0, 1e-9]]), KEYS, np.array([0]), "pooled")
    assert halves.dtype == np.float16
    assert halves.tolist() == [[1.0, 1.0, -65_504.0, 0.0]]
