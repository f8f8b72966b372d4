"""What a study of few-shot heads searches: which closed-form head, and the parameters of that head.

Each head has parameters of its own, which exist only where it was drawn: Optuna knows them by head and name, e.g.
``tip_adapter.beta``. The ranges are the outermost points of the grids that the classifiers are searched over elsewhere,
in even ratios. For prototypes "pictures alone" (κ = 0) and "names alone" are candidates of their own, because no range
of κ in ratios reaches them; without names in the data the parameters that weigh names have no effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cross_modal.errors import CrossModalError
from cross_modal.objectives.ranges import Choice, Range
from cross_modal_mlflow.sweep.space_parameter import domain_from_dict, domain_to_dict, draw_from

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

    from cross_modal.fewshot.episode_heads import Head

METHOD, EVIDENCE = "method", "evidence"
#: What prototypes are made of.
BOTH, PICTURES, NAMES = "pictures and names", "pictures", "names"
RANGES: Mapping[str, Mapping[str, Range | Choice]] = {
    "prototypes": {
        EVIDENCE: Choice((BOTH, PICTURES, NAMES)),
        "kappa": Range(0.125, 32.0, log=True, unit="shots"),
        "centre": Choice((True, False)),
        "blend": Choice(("embeddings", "scores")),
    },
    "nearest_neighbours": {"neighbours": Range(1, 5)},
    "tip_adapter": {"alpha": Range(0.1, 10_000.0, log=True), "beta": Range(0.1, 50.0, log=True)},
    "gaussian_discriminant": {"alpha": Range(1e-4, 1e4, log=True)},
}
DEFAULT = "prototypes"


@dataclass(frozen=True)
class HeadSpace:
    """The heads of a study.

    Attributes:
        heads: Head → its parameters and what they are drawn from.
    """

    heads: Mapping[str, Mapping[str, Range | Choice]]

    @classmethod
    def default(cls) -> HeadSpace:
        """All closed-form heads.

        Example:
            >>> list(HeadSpace.default().heads)
            ['prototypes', 'nearest_neighbours', 'tip_adapter', 'gaussian_discriminant']
        """
        return cls(RANGES)

    def suggest(self, trial: BaseTrial) -> Head:
        """Draws a head.

        Args:
            trial: Where the parameters come from.
        """
        from cross_modal.fewshot.classifiers.prototype_mixture import TEXT_ALONE
        from cross_modal.fewshot.episode_heads import Head

        method = draw_from(trial, METHOD, Choice(tuple(self.heads)))
        drawn: dict[str, Any] = {}
        for name, domain in self.heads[method].items():
            if name in ("kappa", "blend") and drawn.get(EVIDENCE, BOTH) != BOTH:
                continue  # nothing is mixed
            drawn[name] = draw_from(trial, f"{method}.{name}", domain)
        evidence = drawn.pop(EVIDENCE, BOTH)
        if evidence != BOTH:
            drawn["kappa"] = 0.0 if evidence == PICTURES else TEXT_ALONE
        return Head(method, drawn)

    def parameters_of_default(self) -> dict[str, Any]:
        """The Optuna parameters of the head that one has without a search: prototypes, with the classifier's defaults.

        Raises:
            CrossModalError: If the space does not hold it.

        Example:
            >>> HeadSpace.default().parameters_of_default()["prototypes.kappa"]
            1.0
        """
        from cross_modal.fewshot.episode_heads import Head

        if DEFAULT not in self.heads:
            raise CrossModalError(f"head space: expected {DEFAULT} among the heads, found {', '.join(self.heads)}")
        settings = Head(DEFAULT).settings | {EVIDENCE: BOTH}
        found: dict[str, Any] = {METHOD: DEFAULT}
        for name, domain in self.heads[DEFAULT].items():
            if not domain.contains(settings[name]):
                raise CrossModalError(
                    f"head space: expected the default {settings[name]!r} of {DEFAULT}.{name} inside it, found {domain}"
                )
            found[f"{DEFAULT}.{name}"] = settings[name]
        return found

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it; the inverse of `from_dict`."""
        return {
            "heads": {
                method: {name: domain_to_dict(domain) for name, domain in parameters.items()}
                for method, parameters in self.heads.items()
            }
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> HeadSpace:
        """The inverse of `to_dict`.

        Raises:
            CrossModalError: If these are no heads, or a head or a parameter is unknown.
        """
        said = values.get("heads")
        if not isinstance(said, Mapping) or not said:
            raise CrossModalError(f"head space: expected heads with their parameters, found {said!r}")
        heads = {}
        for method, parameters in said.items():
            if method not in RANGES:
                raise CrossModalError(f"head space: expected heads of {', '.join(RANGES)}, found {method!r}")
            unknown = [name for name in parameters if name not in RANGES[method]]
            if unknown:
                raise CrossModalError(
                    f"head space: expected parameters of {method} ({', '.join(RANGES[method])}), found {unknown[0]!r}"
                )
            # In our order, not JSON's: what depends on a parameter is drawn after it.
            ordered = [name for name in RANGES[method] if name in parameters]
            heads[method] = {name: domain_from_dict(parameters[name]) for name in ordered}
        return cls(heads)
