"""The built-in space: what is searched where the user says nothing but the names of losses and miners."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from cross_modal.configuration import Experiment
from cross_modal.errors import CrossModalError
from cross_modal.objectives.distance_units import find_miner
from cross_modal.objectives.losses import find_loss
from cross_modal.objectives.range_table import SECONDARY
from cross_modal.objectives.ranges import is_number
from cross_modal.objectives.search_ranges import (
    Choice,
    Range,
    depends_on_distance,
    distances_of,
    loss_ranges,
    measure_of,
    miner_ranges,
    takes_miner,
)
from cross_modal_mlflow.sweep.space import LOSS, MINER, NONE, SearchSpace, distance_part
from cross_modal_mlflow.sweep.space_parameter import Parameter

DISTANCES = ("CosineSimilarity", "LpDistance")
SETTINGS = (
    Parameter("training.learning_rate", Range(1e-4, 1e-2, log=True)),
    Parameter("twin.pooling.queries", Choice((1, 2, 4, 8))),
)


def default_space(losses: Sequence[str], miners: Sequence[str], base: Experiment) -> SearchSpace:
    """See `SearchSpace.default`.

    Raises:
        CrossModalError: For an unknown or doubled name.
    """
    check_names("losses", losses)
    check_names("miners", miners)
    distances = tuple(dict.fromkeys((*DISTANCES, *([base.objective.distance.name] if base.objective.distance else []))))
    if not any(distances_of(loss) for loss in losses):
        distances = ()
    parameters = [*loss_parameters(losses, distances, base), *miner_parameters(losses, miners, distances, base)]
    space = SearchSpace(tuple(losses), tuple(miners), distances, (*parameters, *SETTINGS))
    return _widened(space, base)


def check_names(kind: str, names: Sequence[str]) -> None:
    """Refuses unknown and doubled names of "losses" or "miners".

    Raises:
        CrossModalError: In one line.
    """
    for name in names:
        if kind == "losses":
            find_loss(name)
        elif name != NONE:
            find_miner(name)
        if list(names).count(name) > 1:
            raise CrossModalError(f"{kind}: expected distinct names, found {name} twice")
    if not names:
        raise CrossModalError(f"{kind}: expected at least one name, found none")


def measures_of(loss: str, distances: Sequence[str], base: Experiment) -> list[str]:
    """The distances, as `measure_of` names them, under which a loss can come in a space."""
    before = base.objective.distance
    if not distances_of(loss):
        return [measure_of(loss, before if loss == base.objective.loss.name else None)]
    if not distances:
        return [measure_of(loss, before)]
    return list(dict.fromkeys(measure_of(loss, distance_part(name, loss, before)) for name in distances))


def loss_parameters(losses: Sequence[str], distances: Sequence[str], base: Experiment) -> list[Parameter]:
    """The built-in parameters of losses, without those that only a long search repays."""
    found: list[Parameter] = []
    for loss in losses:
        ranges = {measure: loss_ranges(loss, measure) for measure in measures_of(loss, distances, base)}
        several = bool(distances_of(loss))
        found += [each for each in _parameters(LOSS, loss, ranges, several) if (loss, each.argument) not in SECONDARY]
    return found


def miner_parameters(
    losses: Sequence[str], miners: Sequence[str], distances: Sequence[str], base: Experiment
) -> list[Parameter]:
    """The built-in parameters of miners, under the distances of the losses that take them."""
    found: list[Parameter] = []
    for miner in miners:
        if miner == NONE:
            continue
        together = [
            measure
            for loss in losses
            for measure in measures_of(loss, distances, base)
            if takes_miner(loss, miner, measure, normalise=base.twin.normalise)
        ]
        found += _parameters(MINER, miner, {each: miner_ranges(miner, each) for each in together}, several=True)
    return found


def _parameters(
    path: str, part: str, ranges: Mapping[str, Mapping[str, Range | Choice]], several: bool
) -> Iterator[Parameter]:
    """One parameter an argument, or one an argument and distance where the distance decides the range."""
    arguments = list(dict.fromkeys(argument for found in ranges.values() for argument in found))
    for argument in arguments:
        where = f"{path}.arguments.{argument}"
        if several and depends_on_distance(part, argument):
            for measure, found in ranges.items():
                yield Parameter(where, found[argument], part, measure)
            continue
        domains = [found[argument] for found in ranges.values()]
        domain = domains[0]
        if isinstance(domain, Range):
            units = dict.fromkeys(each.unit for each in domains if isinstance(each, Range))
            domain = replace(domain, unit=" or ".join(units))
        yield Parameter(where, domain, part)


def _widened(space: SearchSpace, base: Experiment) -> SearchSpace:
    """The same space with its ranges widened to hold the base's own values."""
    wanted: dict[str, Any] = {}

    def collect(name: str, domain: Range | Choice, value: Any) -> Any:
        wanted[name] = value
        return domain.nearest(value)

    space.settle(base, collect)
    return replace(space, parameters=tuple(_holding(each, wanted.get(each.name)) for each in space.parameters))


def _holding(parameter: Parameter, value: Any) -> Parameter:
    domain = parameter.domain
    if not is_number(value) or domain.contains(value):
        return parameter
    if isinstance(domain, Choice):
        numbers = all(is_number(each) for each in domain.values)
        return replace(parameter, domain=Choice(tuple(sorted((*domain.values, value))))) if numbers else parameter
    if domain.contains(round(value, 9)) or (domain.integer and not float(value).is_integer()):
        return parameter  # outside by a rounding error, or no number that the argument can have
    low, high = min(domain.low, value), max(domain.high, value)
    return replace(parameter, domain=replace(domain, low=low, high=high)) if low > 0 or not domain.log else parameter
