"""Search spaces over experiments: which settings a sweep draws, and how a trial's draws become an experiment.

Loss first, then its distance, then the arguments that this loss has under this distance, then the miner and its
arguments: whatever does not apply is not drawn. The plain settings come last. The same walk, with the settings of an
experiment in place of draws, gives the parameters under which the defaults are enqueued.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cross_modal.configuration import Experiment, ObjectiveConfig, PartConfig
from cross_modal.objectives.losses import find_loss
from cross_modal.objectives.search_ranges import (
    Choice,
    Range,
    arguments_from,
    default_arguments,
    depends_on_distance,
    distances_of,
    drawn_from,
    is_margin,
    measure_of,
    takes_miner,
)
from cross_modal_mlflow.sweep.setting_paths import read_setting, write_setting
from cross_modal_mlflow.sweep.space_parameter import Parameter, draw_from

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

LOSS, DISTANCE, MINER = "objective.loss", "objective.distance", "objective.miner"
NONE = "none"  # the miner that mines nothing
Draw = Callable[[str, Range | Choice, Any], Any]  # name, what from, what the experiment has → value


@dataclass(frozen=True)
class SearchSpace:
    """What a sweep draws.

    Attributes:
        losses: Names of losses; one of them is drawn as "objective.loss".
        miners: Names of miners, "none" among them where no miner is a choice; drawn as "objective.miner" for losses
            that take one.
        distances: Names of distances, drawn as "objective.distance" for losses that work with several; empty keeps the
            experiment's.
        parameters: Arguments of losses and miners, and plain settings.
    """

    losses: tuple[str, ...]
    miners: tuple[str, ...]
    distances: tuple[str, ...]
    parameters: tuple[Parameter, ...]

    @classmethod
    def default(cls, losses: Sequence[str], miners: Sequence[str], base: Experiment) -> SearchSpace:
        """The built-in space: loss, distance, miner, their margins, scales and temperatures, learning rate, queries.

        The built-in ranges are widened to hold the base's own values.

        Args:
            losses: Names of losses.
            miners: Names of miners, "none" for no miner.
            base: The settings that trials start from.

        Raises:
            CrossModalError: For an unknown or doubled name.
        """
        from cross_modal_mlflow.sweep.default_space import default_space

        return default_space(losses, miners, base)

    @classmethod
    def read(cls, path: Path, base: Experiment) -> SearchSpace:
        """Reads a YAML file (see `space_file`).

        Raises:
            CrossModalError: In one line, for a file, setting or range that makes no sense.
        """
        from cross_modal_mlflow.sweep.space_file import read_space

        return read_space(path, base)

    def suggest(self, trial: BaseTrial, base: Experiment) -> Experiment:
        """Draws an experiment.

        Args:
            trial: Asked for every parameter that applies.
            base: The settings that are not drawn; not changed.

        Example:
            >>> import optuna
            >>> space = SearchSpace.default(["CircleLoss"], ["none"], Experiment())
            >>> drawn = space.suggest(optuna.trial.FixedTrial(space.parameters_of(Experiment())), Experiment())
            >>> drawn.objective.loss
            PartConfig(name='CircleLoss', arguments={'m': 0.4, 'gamma': 80.0})
        """
        return self.settle(base, lambda name, domain, _: draw_from(trial, name, domain))

    def parameters_of(self, experiment: Experiment) -> dict[str, Any]:
        """The parameters under which `suggest` gives this experiment, its defaults written out.

        A setting outside the space is taken to the nearest inside it (another loss to the first of the space, with its
        default arguments); `differences` says which. The built-in space holds the settings of its base, whose loss and
        miner are among its own.
        """
        found: dict[str, Any] = {}

        def nearest(name: str, domain: Range | Choice, wanted: Any) -> Any:
            found[name] = domain.nearest(wanted)
            return found[name]

        self.settle(experiment, nearest)
        return found

    def differences(self, experiment: Experiment) -> list[str]:
        """Sentences about settings of an experiment that lie outside the space; empty where all lie inside."""
        notes: list[str] = []

        def compare(name: str, domain: Range | Choice, wanted: Any) -> Any:
            taken = domain.nearest(wanted)
            close = isinstance(domain, Range) and isinstance(wanted, int | float) and abs(taken - wanted) < 1e-9
            if not close and not domain.contains(wanted):
                notes.append(f"{name}: {wanted} lies outside {domain}; the default trial takes {taken}")
            return taken

        self.settle(experiment, compare)
        return notes

    def fitting(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Those parameters of another study that this space can be given: known by name, and inside their range."""
        domains: dict[str, Range | Choice] = {each.name: each.domain for each in self.parameters if not each.fixed}
        domains |= {LOSS: Choice(self.losses), MINER: Choice(self.miners)}
        domains |= {DISTANCE: Choice(self.distances)} if self.distances else {}
        return {key: each for key, each in parameters.items() if key in domains and domains[key].contains(each)}

    def check(self, base: Experiment) -> None:
        """Refuses a space in which a trial could fail for its settings alone.

        Raises:
            CrossModalError: In one line: ranges outside what a setting means, combinations that cannot train.
        """
        from cross_modal_mlflow.sweep.space_check import check_space

        check_space(self, base)

    def rows(self) -> list[tuple[str, str]]:
        """The space for people: name and what from."""
        names = [(LOSS, self.losses), (DISTANCE, self.distances), (MINER, self.miners)]
        found = [(name, ", ".join(values)) for name, values in names if values]
        return found + [(each.name, str(each.domain)) for each in self.parameters]

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it; the inverse of `from_dict`."""
        named = {"losses": list(self.losses), "miners": list(self.miners), "distances": list(self.distances)}
        return named | {"parameters": [each.to_dict() for each in self.parameters]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SearchSpace:
        """The inverse of `to_dict`."""
        parameters = tuple(Parameter.from_dict(each) for each in values["parameters"])
        return cls(tuple(values["losses"]), tuple(values["miners"]), tuple(values["distances"]), parameters)

    def settle(self, base: Experiment, draw: Draw) -> Experiment:
        """The walk through the space: asks `draw` for every parameter that applies, in order.

        Args:
            base: The settings that are not drawn; not changed.
            draw: Called with a parameter's name, its range and the base's own value; returns the value to take.

        Returns:
            A deep copy with the drawn settings.
        """
        experiment, before = copy.deepcopy(base), base.objective
        objective = experiment.objective
        loss = draw(LOSS, Choice(self.losses), before.loss.name)
        objective.distance = self._distance(loss, before, draw)
        measure, measured = measure_of(loss, objective.distance), measure_of(before.loss.name, before.distance)
        given = _portable(before.loss, loss, measure == measured)
        objective.loss = self._part(f"{LOSS}.", loss, measure, given, draw)
        miner = self._miner(loss, measure, base, draw)
        given = _portable(before.miner, miner, measure == measured)
        objective.miner = None if miner == NONE else self._part(f"{MINER}.", miner, measure, given, draw)
        for each in self.parameters:
            if each.part is None:
                write_setting(experiment, each.path, _value(each, read_setting(base, each.path), draw))
        return experiment

    def _distance(self, loss: str, before: ObjectiveConfig, draw: Draw) -> PartConfig | None:
        if not distances_of(loss):  # it works with its own; what the experiment says of that holds for its own loss
            return copy.deepcopy(before.distance) if loss == before.loss.name else None
        if not self.distances:
            return copy.deepcopy(before.distance)
        own = find_loss(loss).distance
        assert own is not None
        wanted = before.distance.name if before.distance else own.name
        return distance_part(draw(DISTANCE, Choice(self.distances), wanted), loss, before.distance)

    def _miner(self, loss: str, measure: str, base: Experiment, draw: Draw) -> str:
        fits = [
            name
            for name in self.miners
            if name == NONE or takes_miner(loss, name, measure, normalise=base.twin.normalise)
        ]
        if fits in ([], [NONE]) and len(self.miners) > len(fits):
            return NONE
        # the choices under one name are always the same
        name = MINER if len(fits) == len(self.miners) else f"{MINER}[{measure}]"
        return draw(name, Choice(tuple(fits)), base.objective.miner.name if base.objective.miner else NONE)

    def _part(self, path: str, name: str, measure: str, given: Mapping[str, Any], draw: Draw) -> PartConfig:
        wanted, drawn = drawn_from(name, measure, given), {}
        for each in self.parameters:
            if each.part == name and each.path.startswith(path) and each.distance in (None, measure):
                drawn[each.argument] = _value(each, wanted.get(each.argument), draw)
        return PartConfig(name, arguments_from(name, measure, given, drawn))


def distance_part(name: str, loss: str, before: PartConfig | None) -> PartConfig | None:
    """A distance by name: as the experiment has it, else as the loss has it (None), else the plain one."""
    if before is not None and before.name == name:
        return copy.deepcopy(before)
    own = find_loss(loss).distance
    return None if own is not None and own.name == name else PartConfig(name)


def with_default_margins(experiment: Experiment) -> Experiment:
    """The same experiment with the margins of its loss, and nothing else, put back to the loss's defaults.

    Scale, temperature and miner stay. Where the library's defaults point the wrong way for the distance, those that
    make sense are taken: 0.8 and 0.2 for `ContrastiveLoss` on cosines (its own, 0 and 1, are distances and refused).

    Example:
        >>> experiment = Experiment(objective=ObjectiveConfig(PartConfig("CircleLoss", {"m": 0.2, "gamma": 30})))
        >>> with_default_margins(experiment).objective.loss.arguments
        {'m': 0.4, 'gamma': 30}
    """
    changed = copy.deepcopy(experiment)
    loss = changed.objective.loss
    defaults = default_arguments(loss.name, measure_of(loss.name, changed.objective.distance))
    margins = {key: value for key, value in defaults.items() if is_margin(loss.name, key)}
    loss.arguments = {key: value for key, value in (loss.arguments | margins).items() if value is not None}
    return changed


def _portable(before: PartConfig | None, name: str, same_measure: bool) -> dict[str, Any]:
    """What the experiment says of a part, as far as it means the same under the distance that was drawn."""
    if before is None or before.name != name:
        return {}
    return {key: each for key, each in before.arguments.items() if same_measure or not depends_on_distance(name, key)}


def _value(parameter: Parameter, wanted: Any, draw: Draw) -> Any:
    if parameter.fixed:
        assert isinstance(parameter.domain, Choice)
        return parameter.domain.values[0]
    return draw(parameter.name, parameter.domain, wanted)
