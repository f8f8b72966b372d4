from cross_modal_mlflow.commands.demo import BOTH, ONE_SHOT, ZERO_SHOT, goals


def test_goals_compare_both_with_the_better_of_the_two() -> None:
    found = goals({ONE_SHOT: 0.98, ZERO_SHOT: 0.7, BOTH: 0.985})
    assert [found[name].reached for name in (ONE_SHOT, ZERO_SHOT, BOTH)] == [True, False, True]
    assert not goals({ONE_SHOT: 0.98, ZERO_SHOT: 0.99, BOTH: 0.985})[BOTH].reached


def test_goals_without_their_metrics_are_left_out() -> None:
    assert goals({}) == {}
