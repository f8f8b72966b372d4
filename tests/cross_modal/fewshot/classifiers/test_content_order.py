import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cross_modal.fewshot.classifiers.content_order import content_order


@given(st.randoms(use_true_random=False), st.sampled_from([np.float32, np.float64]))
def test_the_order_is_that_of_the_rows_however_they_are_listed(random: object, dtype: type) -> None:
    generator = np.random.default_rng(random.randrange(1000))  # type: ignore[attr-defined]
    rows = generator.normal(size=(12, 3)).astype(dtype).round(0)
    classes = generator.integers(0, 3, 12)
    listed = generator.permutation(12)
    plain, other = content_order(rows, classes), content_order(rows[listed], classes[listed])
    np.testing.assert_array_equal(rows[plain], rows[listed][other])
    np.testing.assert_array_equal(classes[plain], classes[listed][other])


@pytest.mark.parametrize("shape", [(0, 4), (3, 0)])
def test_nothing_to_sort_is_in_order(shape: tuple[int, int]) -> None:
    assert content_order(np.zeros(shape), np.zeros(shape[0], int)).tolist() == list(range(shape[0]))
