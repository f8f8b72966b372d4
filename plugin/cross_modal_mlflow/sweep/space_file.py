"""Search spaces in YAML: one setting a line, by its dotted path (or nested), with what it is drawn from.

    objective.loss.name: [TripletMarginLoss, CircleLoss]      # also `losses: [...]` or `objective.loss: [...]`
    objective.miner: [none, TripletMarginMiner]               # also `miners: [...]`
    objective.distance: [CosineSimilarity, LpDistance]
    objective.loss.arguments: default                         # the built-in ranges of every loss that is named
    objective.loss.arguments.margin: {low: 0.01, high: 1.0, log: true}   # for every loss that has a margin
    CircleLoss.gamma: {low: 32, high: 128}                    # for this loss alone
    training.learning_rate: {low: 1e-4, high: 1e-2, log: true}
    twin.pooling.queries: [1, 2, 4]
    training.weight_decay: 0.01                               # one value fixes a setting

Only what stands in the file is searched: losses without ranges of their own keep their defaults. ``gap`` is the way
from the positive to the negative margin of losses that have both, whichever way the distance points. Whole ends of a
whole-number setting make whole numbers.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cross_modal.configuration import Experiment
from cross_modal.errors import CrossModalError
from cross_modal.objectives.distances import DISTANCES
from cross_modal.objectives.losses import LOSSES
from cross_modal.objectives.miners import MINERS
from cross_modal.objectives.search_ranges import argument_names
from cross_modal_mlflow.sweep.default_space import check_names, loss_parameters, miner_parameters
from cross_modal_mlflow.sweep.domain_words import KEYS, argument_domain, setting_domain
from cross_modal_mlflow.sweep.setting_paths import SAME_FOR_ALL, setting_types
from cross_modal_mlflow.sweep.space import DISTANCE, LOSS, MINER, NONE, SearchSpace
from cross_modal_mlflow.sweep.space_parameter import Parameter

BUILT_IN = "default"
ALIASES = {
    "losses": LOSS, f"{LOSS}.name": LOSS,
    "miners": MINER, f"{MINER}.name": MINER,
    "distances": DISTANCE, f"{DISTANCE}.name": DISTANCE,
}  # fmt: skip
_OF_A_PART = re.compile(r"(?P<part>\w+)(\[(?P<distance>\w+)\])?\.(?P<argument>\w+)")


def read_space(path: Path, base: Experiment) -> SearchSpace:
    """See `SearchSpace.read`.

    Raises:
        CrossModalError: In one line, which starts with the file's name.
    """
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise CrossModalError(f"{path}: expected a YAML file of settings and ranges, found {_reason(error)}") from error
    except yaml.YAMLError as error:
        raise CrossModalError(f"{path}: expected YAML, found {' '.join(str(error).split())}") from error
    try:
        return space_from(content, base)
    except CrossModalError as error:
        raise CrossModalError(f"{path}: {error}") from error


def space_from(content: Any, base: Experiment) -> SearchSpace:
    """A space from what a YAML file holds.

    Args:
        content: Settings (dotted or nested) → what they are drawn from.
        base: The settings that trials start from; it gives the loss and miner where the file names none.

    Raises:
        CrossModalError: In one line.

    Example:
        >>> space = space_from({"losses": ["CircleLoss"], "CircleLoss.m": {"low": 0.2, "high": 0.4}}, Experiment())
        >>> space.rows()[-1]
        ('CircleLoss.m', '0.2 to 0.4')
    """
    if not isinstance(content, Mapping) or not content:
        raise CrossModalError(f"expected settings with their ranges, found {type(content).__name__}")
    leaves = _leaves(content)
    before = base.objective
    losses = _names(leaves.pop(LOSS, [before.loss.name]), LOSS)
    miners = _names(leaves.pop(MINER, [before.miner.name if before.miner else NONE]), MINER)
    distances = _names(leaves.pop(DISTANCE, []), DISTANCE)
    check_names("losses", losses)
    check_names("miners", miners)
    _known(distances, DISTANCES, "distance")
    found: dict[str, Parameter] = {}
    if _is_built_in(leaves, LOSS):
        found |= {each.name: each for each in loss_parameters(losses, distances, base)}
    if _is_built_in(leaves, MINER):
        found |= {each.name: each for each in miner_parameters(losses, miners, distances, base)}
    for path, value in leaves.items():
        for each in _parameters(path, value, losses, miners):
            # a user's range takes the place of the built-in ones, whatever their distance, and of their gap
            found = {name: other for name, other in found.items() if not _replaced(other, each)}
            found[each.name] = each
    return SearchSpace(tuple(losses), tuple(miners), tuple(distances), tuple(found.values()))


def _leaves(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted path → value or range, short names written out."""
    found: dict[str, Any] = {}
    for key, value in content.items():
        path = f"{prefix}{key}"
        inner = {path: value}
        if isinstance(value, Mapping) and value and not set(value) & KEYS:
            inner = _leaves(value, f"{path}.")
        for name, each in inner.items():
            name = ALIASES.get(name, name)
            if name in found:
                raise CrossModalError(f"{name}: expected once, found twice")
            found[name] = each
    return found


def _names(value: Any, path: str) -> list[str]:
    """One name, a list of names, or a mapping with choices."""
    if isinstance(value, Mapping):
        value = value.get("choices") if set(value) == {"choices"} else None
    names = ["none" if each is None else each for each in value] if isinstance(value, list) else [value]
    if not all(isinstance(each, str) for each in names):
        raise CrossModalError(f"{path}: expected a name or a list of names, found {names[0] if names else 'none'!r}")
    return names


def _known(names: Iterable[str], known: Iterable[str], what: str) -> None:
    for name in names:
        if name not in known:
            raise CrossModalError(
                f"{what} {name!r}: unknown{nearest(name, known)}, expected one of: {', '.join(known)}"
            )


def _is_built_in(leaves: dict[str, Any], part: str) -> bool:
    """Whether the file asks for the built-in ranges of a part."""
    path = f"{part}.arguments"
    if path not in leaves:
        return False
    value = leaves.pop(path)
    if value != BUILT_IN:
        raise CrossModalError(f"{path}: expected {path}.NAME with a range, or the word {BUILT_IN!r}, found {value!r}")
    return True


def _parameters(path: str, value: Any, losses: Sequence[str], miners: Sequence[str]) -> list[Parameter]:
    """The parameters that one line of the file makes."""
    for kind, names in ((LOSS, losses), (MINER, [name for name in miners if name != NONE])):
        if path.startswith(f"{kind}.arguments."):
            argument = path.removeprefix(f"{kind}.arguments.")
            parts = [name for name in names if argument in argument_names(name)]
            if not parts:
                known = list(dict.fromkeys(word for name in names for word in argument_names(name)))
                listed = ", ".join(names) or f"no {kind.partition('.')[2]}"
                raise CrossModalError(
                    f"{path}: expected an argument of {listed} ({', '.join(known) or 'none'}), "
                    f"found {argument}{nearest(argument, known)}"
                )
            return [Parameter(path, argument_domain(path, value, name, argument), name) for name in parts]
    of_part = _OF_A_PART.fullmatch(path)
    if of_part and of_part["part"] in (LOSSES | MINERS):
        return [_of_part(path, value, of_part, losses, miners)]
    types = setting_types()
    if path not in types:
        known = [*types, f"{LOSS}.name", f"{LOSS}.arguments", f"{MINER}.name", f"{MINER}.arguments", DISTANCE]
        raise CrossModalError(f"unknown setting {path}{nearest(path, known)}")
    if path.startswith(SAME_FOR_ALL):
        raise CrossModalError(
            f"{path}: expected a setting that trials may differ in, found one that makes them comparable"
        )
    return [Parameter(path, setting_domain(path, value, types[path]))]


def _of_part(path: str, value: Any, match: re.Match[str], losses: Sequence[str], miners: Sequence[str]) -> Parameter:
    """`CircleLoss.gamma`, or with a distance `ContrastiveLoss[LpDistance].gap`."""
    part, argument, distance = match["part"], match["argument"], match["distance"]
    if part not in (*losses, *miners):
        raise CrossModalError(
            f"{path}: expected a loss or miner of this space ({', '.join((*losses, *miners))}), found {part}"
        )
    known = argument_names(part)
    if argument not in known:
        raise CrossModalError(
            f"{path}: expected an argument of {part} ({', '.join(known)}), found {argument}{nearest(argument, known)}"
        )
    if distance is not None:
        _known([distance], DISTANCES, "distance")
    where = f"{LOSS if part in losses else MINER}.arguments.{argument}"
    return Parameter(where, argument_domain(path, value, part, argument), part, distance)


def _replaced(other: Parameter, by: Parameter) -> bool:
    if other.part != by.part:
        return False
    same = {other.argument, by.argument} == {"gap", "neg_margin"} or other.argument == by.argument
    return same and (by.distance is None or by.distance == other.distance)


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of a sentence, "; did you mean …?", where a known word is near; else nothing."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {found[0]}?" if found else ""


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return error.strerror.lower() if isinstance(error, OSError) and error.strerror else "something that is no text"
