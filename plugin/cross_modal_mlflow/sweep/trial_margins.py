"""The margins of a trial, as its loss is given them: the numbers that a sweep is run for, with their unit.

They are read from the experiment that the trial stands for, not from what was drawn: a ``gap`` becomes the negative
margin, and a margin that nobody searches stands there with its default.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cross_modal_mlflow.sweep.trial_facts import drawn_number

if TYPE_CHECKING:
    from cross_modal.configuration import Experiment

#: Units as they stand in narrow columns.
UNITS = {
    "cosine": "cos", "L2 distance": "L2", "squared L2 distance": "L2²", "variance ratio": "SNR", "degrees": "°",
}  # fmt: skip
_SCALES = ("temperature", "gamma", "softmax_scale", "alpha", "beta")  # what is shown of a loss without margins


@dataclass(frozen=True)
class LossMargins:
    """The margins of a loss.

    Attributes:
        loss: The loss's name.
        values: Argument → value; of a loss without margins its scale or temperature, if it has one.
        unit: What they count, e.g. "L2 distance".
        defaults: The library's values of the same arguments.
        any: Whether the loss has margins.
    """

    loss: str
    values: dict[str, float]
    unit: str = ""
    defaults: dict[str, float] = field(default_factory=dict)
    any: bool = True

    @property
    def short(self) -> str:
        """For a column.

        Example:
            >>> LossMargins("ContrastiveLoss", {"pos_margin": 0.84, "neg_margin": 0.2}, "cosine").short
            'pos 0.84 neg 0.2 cos'
        """
        if list(self.values) == ["margin"]:
            said = number(self.values["margin"])
        else:
            said = " ".join(f"{name.removesuffix('_margin')} {number(each)}" for name, each in self.values.items())
        unit = UNITS.get(self.unit, "")
        return f"{said}{'' if unit == '°' else ' '}{unit}".strip()

    @property
    def plain(self) -> str:
        """For a wide column.

        Example:
            >>> LossMargins("TripletMarginLoss", {"margin": 0.31}, "L2 distance").plain
            'margin 0.31 (L2 distance)'
        """
        said = ", ".join(f"{name} {number(each)}" for name, each in self.values.items())
        return f"{said} ({self.unit})" if self.unit else said

    @property
    def sentence(self) -> str:
        """For people who want to write it down.

        Example:
            >>> LossMargins("TripletMarginLoss", {"margin": 0.31}, "L2 distance", {"margin": 0.05}).sentence
            'TripletMarginLoss.margin 0.31 (L2 distance; library default 0.05)'
        """
        if not self.any:
            said = "".join(f", {name} {number(each)}" for name, each in self.values.items())
            return f"{self.loss} has no margin{said}"
        said = ", ".join(f"{self.loss}.{name} {number(each)}" for name, each in self.values.items())
        defaults = ", ".join(number(self.defaults[name]) for name in self.values if name in self.defaults)
        details = [self.unit] if self.unit else []
        details += [f"library default {defaults}"] if defaults else []
        return said + (f" ({'; '.join(details)})" if details else "")


def margins_of(experiment: Experiment) -> LossMargins:
    """The margins of an experiment's loss, defaults written out.

    Example:
        >>> from cross_modal.configuration import Experiment, ObjectiveConfig, PartConfig
        >>> margins_of(Experiment(objective=ObjectiveConfig(PartConfig("CircleLoss", {"m": 0.3})))).sentence
        'CircleLoss.m 0.3 (cosine; library default 0.4)'
    """
    from cross_modal.objectives.search_ranges import default_arguments, is_margin, loss_ranges, measure_of

    loss = experiment.objective.loss
    measure = measure_of(loss.name, experiment.objective.distance)
    defaults = {name: each for name, each in default_arguments(loss.name, measure).items() if drawn_number(each)}
    values = defaults | {name: each for name, each in loss.arguments.items() if drawn_number(each)}
    ranges = loss_ranges(loss.name, measure)
    margins = [name for name in values if is_margin(loss.name, name)]
    shown = margins or [name for name in _SCALES if name in values and name in ranges][:1]
    units = [str(getattr(ranges.get("gap" if name == "neg_margin" else name), "unit", "")) for name in margins]
    return LossMargins(
        loss.name,
        {name: float(values[name]) for name in shown},
        next(filter(None, units), ""),
        {name: float(defaults[name]) for name in shown if name in defaults},
        bool(margins),
    )


def number(value: Any) -> str:
    """Three digits; everything that is no number as it is.

    Example:
        >>> number(0.31234), number(80.0), number("semihard"), number(1.5e-05), number(4711)
        ('0.312', '80', 'semihard', '1.5e-05', '4,711')
    """
    if not drawn_number(value):
        return str(value)
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
