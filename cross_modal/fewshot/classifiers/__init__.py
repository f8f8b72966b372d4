"""Few-shot classifiers: scikit-learn estimators over embeddings, one a file.

`METHODS` holds them by the names under which results are reported.
"""

from cross_modal.fewshot.classifiers.classifier import FewShotClassifier
from cross_modal.fewshot.classifiers.cross_modal_probe import CrossModalProbe
from cross_modal.fewshot.classifiers.gaussian_discriminant import GaussianDiscriminant
from cross_modal.fewshot.classifiers.linear_probe_plus_plus import LinearProbePlusPlus
from cross_modal.fewshot.classifiers.nearest_neighbours import NearestNeighbours
from cross_modal.fewshot.classifiers.prototypes import Prototypes
from cross_modal.fewshot.classifiers.tip_adapter import TipAdapter
from cross_modal.fewshot.classifiers.tip_adapter_f import TipAdapterF
from cross_modal.fewshot.classifiers.zero_shot import ZeroShot

METHODS: dict[str, type[FewShotClassifier]] = {
    "zero_shot": ZeroShot,
    "prototypes": Prototypes,
    "nearest_neighbours": NearestNeighbours,
    "tip_adapter": TipAdapter,
    "tip_adapter_f": TipAdapterF,
    "cross_modal_probe": CrossModalProbe,
    "gaussian_discriminant": GaussianDiscriminant,
    "linear_probe_plus_plus": LinearProbePlusPlus,
}

__all__ = [
    "METHODS",
    "CrossModalProbe",
    "FewShotClassifier",
    "GaussianDiscriminant",
    "LinearProbePlusPlus",
    "NearestNeighbours",
    "Prototypes",
    "TipAdapter",
    "TipAdapterF",
    "ZeroShot",
]
