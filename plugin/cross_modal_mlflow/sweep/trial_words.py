"""A trial in words, for tables: its loss, its miner, its margins, its values, how long it took."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cross_modal.objectives.search_ranges import is_margin

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

LOSS, MINER, METHOD = "objective.loss", "objective.miner", "method"


def what(trial: FrozenTrial) -> str:
    """The loss and the miner, or the head, without the words that all of them end in.

    >>> from optuna.trial import create_trial
    >>> from optuna.distributions import CategoricalDistribution as Any
    >>> what(create_trial(params={LOSS: "CircleLoss"}, distributions={LOSS: Any(["CircleLoss"])}, value=1.0))
    'Circle'
    """
    if METHOD in trial.params:
        return str(trial.params[METHOD])
    loss = str(trial.params.get(LOSS, "")).removesuffix("Loss")
    miner = next((str(value) for name, value in trial.params.items() if name.startswith(MINER)), "none")
    return loss if miner == "none" else f"{loss} · {miner.removesuffix('Miner')}"


def margins(trial: FrozenTrial) -> dict[str, Any]:
    """The margins that a trial drew, by parameter; of a head, its parameters."""
    if METHOD in trial.params:
        return {name: value for name, value in trial.params.items() if name != METHOD}
    found = {}
    for name, value in trial.params.items():
        part, _, argument = name.rpartition(".")
        loss = part.partition("[")[0]
        if loss and loss == trial.params.get(LOSS, loss) and loss.endswith("Loss") and is_margin(loss, argument):
            found[name] = value
    return found


def margin_words(trial: FrozenTrial) -> str:
    """The margins in one short text, e.g. "margin 0.31, gap 0.4"."""
    return ", ".join(f"{name.rpartition('.')[2]} {number(value)}" for name, value in margins(trial).items())


def value_words(trial: FrozenTrial) -> str:
    """The values, or what was reported last."""
    if trial.values and trial.state.name == "COMPLETE":
        return "  ".join(f"{value:.4f}" for value in trial.values)
    if trial.intermediate_values:
        return f"({trial.intermediate_values[max(trial.intermediate_values)]:.4f})"
    return ""


def state_words(trial: FrozenTrial) -> str:
    """The state in one word; a failure's reason is in its run."""
    if trial.state.name == "FAIL":
        if "interrupted" in trial.user_attrs:
            return "interrupted"
        return "failed" if "error" in trial.user_attrs else "died"
    return {"COMPLETE": "done", "PRUNED": "pruned", "RUNNING": "running", "WAITING": "waiting"}[trial.state.name]


def duration_words(seconds: float) -> str:
    """Seconds as a clock.

    >>> duration_words(75), duration_words(3700)
    ('1:15', '1:01:40')
    """
    whole = max(int(seconds), 0)
    hours, minutes = whole // 3600, whole % 3600 // 60
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


def number(value: Any) -> str:
    """A drawn value with three digits.

    >>> number(0.31234), number(4), number("none")
    ('0.312', '4', 'none')
    """
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def best_so_far(study: optuna.Study) -> FrozenTrial | None:
    """The best finished trial that keeps to the constraints; of several targets the best of the first."""
    import optuna

    try:
        if len(study.directions) == 1:
            return study.best_trial
        sign = -1 if study.directions[0] == optuna.study.StudyDirection.MAXIMIZE else 1
        return min(study.best_trials, key=lambda trial: sign * trial.values[0])
    except ValueError:
        return None
