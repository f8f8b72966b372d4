"""Names alone: each class is its text embedding, and no picture is learned from.

    score(x, c) = s x·t_c          (cosine)
    score(x, c) = −s ‖x − t_c‖²    (Euclidean)

Source: Radford et al. 2021, "Learning transferable visual models from natural language supervision". How t_c is made
from prompts is written in `cross_modal.fewshot.prompts`.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from cross_modal.fewshot.classifiers.classifier import FewShotClassifier
from cross_modal.fewshot.classifiers.text_evidence import text_scores


class ZeroShot(FewShotClassifier):
    """The class whose text is nearest.

    Shots of classes that have a text are counted and have no say. A class that has shots and no text is known by their
    mean, moved across the modality gap to where texts lie: it could not be told otherwise.

    Args:
        texts: (C, D) class texts, a NaN row where a class has none; this method cannot do without any.
        classes: (C,) labels of the rows of `texts`.
        scale: s, the factor of the logits.
        metric: "cosine" or "euclidean".

    >>> ZeroShot(np.eye(2), ["cat", "dog"]).fit().predict([[0.2, 0.9]]).tolist()
    ['dog']
    """

    closed_form: ClassVar[bool] = True
    needs_texts: ClassVar[bool] = True

    def __init__(self, texts: Any = None, classes: Any = None, *, scale: float = 100.0, metric: str = "cosine") -> None:
        self.texts = texts
        self.classes = classes
        self.scale = scale
        self.metric = metric

    def _fit(self, X: np.ndarray, y: np.ndarray) -> None:
        vectors = self._class_vectors()
        assert vectors is not None  # needs_texts
        self.class_vectors_ = vectors

    def _scores(self, X: np.ndarray) -> np.ndarray:
        return self.scale * text_scores(X, self.class_vectors_, self.metric)
