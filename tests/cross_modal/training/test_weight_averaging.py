"""Averaging: a straight line between two twins, its ends exact, the best on it by validation."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toys.tiny_twin import tiny_twin

from cross_modal.encoders.twin import TwinEncoder
from cross_modal.training.weight_averaging import average, choose_average


def ends() -> tuple[TwinEncoder, dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    start = {name: value.clone() for name, value in tiny_twin(seed=1).state_dict().items()}
    tuned = tiny_twin(seed=2)
    return tuned, start, {name: value.clone() for name, value in tuned.state_dict().items()}


@given(alpha=st.floats(0, 1))
@settings(max_examples=30, deadline=None)
def test_it_is_a_straight_line(alpha: float) -> None:
    generator = torch.Generator().manual_seed(0)
    start, tuned = ({"w": torch.randn(5, generator=generator), "n": torch.tensor(n)} for n in (1, 2))
    mixed = average(start, tuned, alpha)
    torch.testing.assert_close(mixed["w"], (1 - alpha) * start["w"] + alpha * tuned["w"])
    assert mixed["n"].item() == (1 if alpha == 0 else 2)


def test_the_ends_are_exact() -> None:
    _, start, tuned = ends()
    for alpha, end in ((0.0, start), (1.0, tuned)):
        mixed = average(start, tuned, alpha)
        assert all(torch.equal(mixed[name], end[name]) for name in end if end[name].is_floating_point())


def test_the_best_on_validation_is_taken_from_all_points_with_both_ends() -> None:
    twin, start, tuned = ends()
    name = "head.projection.weight"

    def alpha_of(twin: TwinEncoder) -> float:
        now = twin.state_dict()[name]
        return float(((now - start[name]) / (tuned[name] - start[name])).median())

    for wished in (0.0, 0.25, 1.0):
        twin.load_state_dict(tuned)
        chosen = choose_average(twin, start, 4, lambda twin, wished=wished: -abs(round(alpha_of(twin), 4) - wished))
        assert chosen is not None
        assert chosen.alpha == wished
        assert sorted(chosen.scores) == [0, 0.25, 0.5, 0.75, 1]
        assert round(alpha_of(twin), 4) == wished


def test_of_equal_scores_the_tuned_end_and_without_a_score_the_tuned_weights() -> None:
    twin, start, tuned = ends()
    chosen = choose_average(twin, start, 3, lambda _: 0.5)
    assert chosen is not None
    assert chosen.alpha == 1
    assert choose_average(twin, start, 3, lambda _: None) is None
    assert all(torch.equal(value, tuned[name]) for name, value in twin.state_dict().items())
