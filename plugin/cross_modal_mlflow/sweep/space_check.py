"""Refuses a search space before its first trial: ranges outside meaning, and corners at which nothing can train.

Every combination of loss, distance and miner is built, without data, at the ends of the ranges of its arguments. What
the objective refuses there it would have refused in a trial, an hour later.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from cross_modal.configuration import Experiment
from cross_modal.errors import CrossModalError
from cross_modal.objectives.ranges import is_number
from cross_modal.objectives.search_ranges import Choice, Range, legal_range, measure_of
from cross_modal_mlflow.sweep.default_space import measures_of
from cross_modal_mlflow.sweep.setting_paths import bounds_of
from cross_modal_mlflow.sweep.space import DISTANCE, LOSS, MINER, SearchSpace
from cross_modal_mlflow.sweep.space_parameter import Parameter

TRIED = 5  # arguments of a part whose ends are tried in every combination


def check_space(space: SearchSpace, base: Experiment) -> None:
    """See `SearchSpace.check`.

    Raises:
        CrossModalError: In one line.
    """
    for each in space.parameters:
        if each.part is None:
            _refuse_outside(each, bounds_of(each.path), "")
    for loss in space.losses:
        for measure in measures_of(loss, space.distances, base):
            for each in space.parameters:
                if each.part in (loss, *space.miners) and each.distance in (None, measure):
                    bounds = legal_range(each.part, each.argument, measure, normalise=base.twin.normalise)
                    _refuse_outside(each, bounds, f" for {each.part} with {measure}")
    _build_corners(space, base)


def _refuse_outside(parameter: Parameter, bounds: Any, whose: str) -> None:
    domain = parameter.domain
    numbers = [domain.low, domain.high] if isinstance(domain, Range) else [v for v in domain.values if is_number(v)]
    if bounds is not None and not all(bounds.contains(number) for number in numbers):
        raise CrossModalError(f"search space: {parameter.path}: expected numbers in {bounds}{whose}, found {domain}")


def _build_corners(space: SearchSpace, base: Experiment) -> None:
    """Builds the objective of every loss, distance and miner at the ends of its arguments' ranges."""
    seen: set[str] = set()
    for loss, distance, miner in itertools.product(space.losses, space.distances or ("",), space.miners):
        named = {LOSS: loss, DISTANCE: distance, MINER: miner}
        asked = _asked(space, base, named)
        for part in (loss, miner):
            corners = [name for name in asked if name.startswith((f"{part}.", f"{part}["))][:TRIED]
            for ends in itertools.product(*(_ends(asked[name]) for name in corners)):
                _build(space, base, named | dict(zip(corners, ends, strict=True)), seen)


def _asked(space: SearchSpace, base: Experiment, named: Mapping[str, Any]) -> dict[str, Range | Choice]:
    """The parameters that apply to a combination."""
    asked: dict[str, Range | Choice] = {}

    def note(name: str, domain: Range | Choice, wanted: Any) -> Any:
        asked[name] = domain
        return _answer(named, name, domain)

    space.settle(base, note)
    return asked


def _build(space: SearchSpace, base: Experiment, values: Mapping[str, Any], seen: set[str]) -> None:
    import torch

    from cross_modal.objectives.cross_modal_loss import CrossModalLoss

    experiment = space.settle(base, lambda name, domain, _: _answer(values, name, domain))
    key = repr(experiment.objective)
    if key in seen:
        return
    seen.add(key)
    try:
        with torch.random.fork_rng(devices=[]):  # proxies are drawn
            CrossModalLoss(experiment.objective, dim=8, num_classes=64, normalise=experiment.twin.normalise)
    except CrossModalError as error:
        raise CrossModalError(f"search space: a trial could draw what cannot train: {error}") from error
    objective = experiment.objective
    for part in (objective.loss, objective.miner):
        _refuse_margins(part, experiment)


def _refuse_margins(part: Any, experiment: Experiment) -> None:
    """Margins that follow from others (a positive margin and a gap) keep to their meaning, too."""
    if part is None or "neg_margin" not in part.arguments:
        return
    measure = measure_of(experiment.objective.loss.name, experiment.objective.distance)
    bounds = legal_range(part.name, "neg_margin", measure, normalise=experiment.twin.normalise)
    if bounds is not None and not bounds.contains(part.arguments["neg_margin"]):
        raise CrossModalError(
            f"search space: {part.name} with {measure}: expected neg_margin in {bounds}, found "
            f"{part.arguments['neg_margin']:g} at the end of the ranges (pos_margin {part.arguments.get('pos_margin')})"
        )


def _answer(values: Mapping[str, Any], name: str, domain: Range | Choice) -> Any:
    """The asked value where it can be drawn, else the first that can."""
    key = MINER if name.startswith(f"{MINER}[") else name
    if key in values and domain.contains(values[key]):
        return values[key]
    return domain.values[0] if isinstance(domain, Choice) else domain.low


def _ends(domain: Range | Choice) -> tuple[Any, ...]:
    return domain.values if isinstance(domain, Choice) else (domain.low, domain.high)
