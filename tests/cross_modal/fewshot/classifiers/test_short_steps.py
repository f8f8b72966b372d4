import pytest
import torch

from cross_modal.fewshot.classifiers.short_steps import LEAST_WORK, side_by_side, threads_for


@pytest.fixture
def three_threads() -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("work", "threads"), [(LEAST_WORK / 2, 1), (2 * LEAST_WORK, 3)])
def test_only_long_work_is_shared(three_threads: object, work: float, threads: int) -> None:
    with threads_for(work):
        assert torch.get_num_threads() == threads
    assert torch.get_num_threads() == 3


def test_threads_come_back_after_an_error(three_threads: object) -> None:
    with pytest.raises(KeyError), threads_for(1.0):
        raise KeyError
    assert torch.get_num_threads() == 3


def test_work_side_by_side_keeps_its_order_and_gives_the_threads_back() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert side_by_side([lambda each=each: each * each for each in range(5)]) == [0, 1, 4, 9, 16]
        assert side_by_side([torch.get_num_threads] * 3) == [1, 1, 1]
        with pytest.raises(ZeroDivisionError):
            side_by_side([lambda: 1, lambda: 1 // 0])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
