import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cross_modal.errors import CrossModalError
from cross_modal.objectives.pair_balance import balance, check_same_share


@given(same=st.integers(1, 50), different=st.integers(1, 50), share=st.floats(0.05, 0.95))
def test_a_verdict_weighs_its_share_whatever_its_number(same, different, share):
    verdicts = torch.arange(same + different) < same
    weights = balance(verdicts, share).weights(verdicts)
    assert weights.mean().item() == pytest.approx(1, rel=1e-5)
    assert (weights[verdicts].sum() / weights.sum()).item() == pytest.approx(share, rel=1e-4)


def test_without_a_share_every_pair_weighs_the_same():
    verdicts = torch.tensor([True, False, False])
    assert balance(verdicts, None).weights(verdicts).tolist() == pytest.approx([1, 1, 1])


@pytest.mark.parametrize("verdict", [True, False])
def test_a_step_with_one_verdict_gives_it_its_share_only(verdict):
    verdicts = torch.full((4,), verdict)
    assert balance(verdicts, 0.5).weights(verdicts).tolist() == pytest.approx([0.5] * 4)
    assert balance(verdicts, None).weights(verdicts).tolist() == pytest.approx([1.0] * 4)


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, float("nan")])
def test_a_share_that_mutes_a_verdict_is_refused(share):
    with pytest.raises(CrossModalError, match="same_share must lie between 0 and 1"):
        check_same_share(share)


@pytest.mark.parametrize("share", [0.5, 0.01, None])
def test_other_shares_pass(share):
    check_same_share(share)
