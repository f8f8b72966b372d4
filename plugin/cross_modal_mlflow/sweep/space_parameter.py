"""One parameter of a search space: where its value goes, from what it is drawn, and when it exists at all.

Optuna knows it by a name that says what it belongs to: the dotted path of a plain setting (``training.learning_rate``),
the part of a part's argument (``TripletMarginLoss.margin``), and the distance too where that decides the range
(``ContrastiveLoss[CosineSimilarity].gap``), so that no name ever stands for two ranges.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cross_modal.objectives.ranges import Choice, Range

if TYPE_CHECKING:
    from optuna.trial import BaseTrial


@dataclass(frozen=True)
class Parameter:
    """A setting that is drawn.

    Attributes:
        path: Dotted path of the setting, e.g. "objective.loss.arguments.margin".
        domain: What it is drawn from; a choice of one value is set and not drawn.
        part: The loss or miner whose argument it is; it exists where that one was drawn. None: always.
        distance: The distance under which it exists; None: under any.
    """

    path: str
    domain: Range | Choice
    part: str | None = None
    distance: str | None = None

    @property
    def name(self) -> str:
        """Its name in Optuna.

        Example:
            >>> Parameter("objective.loss.arguments.gap", Range(0.2, 1.0), "ContrastiveLoss", "LpDistance").name
            'ContrastiveLoss[LpDistance].gap'
        """
        if self.part is None:
            return self.path
        return f"{self.part}[{self.distance}].{self.argument}" if self.distance else f"{self.part}.{self.argument}"

    @property
    def argument(self) -> str:
        """The last word of its path."""
        return self.path.rpartition(".")[2]

    @property
    def fixed(self) -> bool:
        """Whether there is nothing to draw."""
        return isinstance(self.domain, Choice) and len(self.domain.values) == 1

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it; the inverse of `from_dict`."""
        place = {"path": self.path, "part": self.part, "distance": self.distance}
        return {key: value for key, value in place.items() if value is not None} | domain_to_dict(self.domain)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Parameter:
        """The inverse of `to_dict`."""
        return cls(values["path"], domain_from_dict(values), values.get("part"), values.get("distance"))


def draw_from(trial: BaseTrial, name: str, domain: Range | Choice) -> Any:
    """Draws a value under a name."""
    if isinstance(domain, Choice):
        return trial.suggest_categorical(name, list(domain.values))
    if domain.integer:
        low, high, step = int(domain.low), int(domain.high), int(domain.step or 1)
        return trial.suggest_int(name, low, high, step=step, log=domain.log)
    return trial.suggest_float(name, domain.low, domain.high, step=domain.step, log=domain.log)


def domain_to_dict(domain: Range | Choice) -> dict[str, Any]:
    """A range or choice as JSON has it.

    Example:
        >>> domain_to_dict(Range(0.1, 1.0, log=True))
        {'low': 0.1, 'high': 1.0, 'log': True}
    """
    if isinstance(domain, Choice):
        return {"choices": list(domain.values)}
    found = {"low": domain.low, "high": domain.high, "log": domain.log, "step": domain.step, "unit": domain.unit}
    return {key: value for key, value in found.items() if value not in (None, "") and value is not False}


def domain_from_dict(values: Mapping[str, Any]) -> Range | Choice:
    """The inverse of `domain_to_dict`; other keys are passed over.

    Raises:
        CrossModalError: For a range without numbers in it, or a choice without values.
    """
    if "choices" in values:
        return Choice(tuple(values["choices"]))
    return Range(
        values["low"], values["high"], values.get("log", False), values.get("step"), values.get("unit", "")
    )  # fmt: skip
