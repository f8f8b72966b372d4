import pytest
from hypothesis import given
from hypothesis import strategies as st

from cross_modal.errors import CrossModalError
from cross_modal.objectives.ranges import Bounds, Choice, Range


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"low": 1.0, "high": 1.0}, "low < high, found 1.0 and 1.0"),
        ({"low": 2, "high": 1}, "low < high, found 2 and 1"),
        ({"low": 0.0, "high": float("inf")}, "finite numbers"),
        ({"low": "1", "high": 2}, "finite numbers low < high, found '1'"),
        ({"low": False, "high": 2}, "finite numbers"),
        ({"low": 0.0, "high": 1.0, "log": True}, "low above 0 and no step with log, found low 0.0"),
        ({"low": 1, "high": 8, "log": True, "step": 1}, "no step with log, found step 1"),
        ({"low": 0.0, "high": 1.0, "step": 2.0}, "a step above 0 that fits between 0.0 and 1.0, found 2.0"),
        ({"low": 1, "high": 8, "step": 0.5}, "a whole step between whole numbers, found 0.5"),
    ],
)
def test_a_range_without_numbers_in_it_is_refused(arguments: dict, says: str) -> None:
    with pytest.raises(CrossModalError) as caught:
        Range(**arguments)
    assert says in str(caught.value)


def test_whole_ends_make_whole_numbers() -> None:
    assert Range(1, 5).integer
    assert not Range(1.0, 5).integer
    assert Range(1, 5).contains(2)
    assert not Range(1, 5).contains(2.5)
    assert not Range(1, 5).contains(True)
    assert not Range(0.0, 1.0).contains("0.5")


@given(
    st.floats(-10, 10), st.sampled_from([Range(0.5, 3.0), Range(1, 9, step=2), Range(0.0, 1.0, step=0.3), Range(2, 7)])
)
def test_the_nearest_number_lies_inside_and_is_itself_the_nearest(value: float, numbers: Range) -> None:
    nearest = numbers.nearest(value)
    assert numbers.contains(nearest)
    assert numbers.nearest(nearest) == pytest.approx(nearest)
    if numbers.step is None and not numbers.integer and numbers.contains(value):
        assert nearest == value


def test_ranges_that_differ_in_their_unit_alone_are_equal() -> None:
    assert Range(0.1, 1.0, unit="cosine") == Range(0.1, 1.0, unit="L2 distance")
    assert str(Range(0.1, 1.0, log=True, unit="cosine")) == "0.1 to 1, log, cosine"


def test_choices_tell_one_from_true_and_refuse_repeated_values() -> None:
    assert Choice((0, 1, False)).contains(False)
    assert not Choice((0, 1)).contains(False)
    assert Choice(("all", 50, 10)).nearest(40) == 50
    assert Choice(("all", 50)).nearest("none") == "all"
    assert str(Choice((None, True, "all"))) == "none, true, all"
    with pytest.raises(CrossModalError, match="distinct values, found 2 twice"):
        Choice((2, 2))
    with pytest.raises(CrossModalError, match="at least one value"):
        Choice(())


def test_bounds_are_open_where_they_say_so() -> None:
    bounds = Bounds(0, 2, open_low=True)
    assert (bounds.contains(0), bounds.contains(0.1), bounds.contains(2), bounds.contains(2.1)) == (
        False,
        True,
        True,
        False,
    )
    assert str(Bounds(-1, float("inf"))) == "[-1, inf)"
