"""The score that picks the best checkpoint: few-shot accuracy on validation classes, which were never trained on.

With labels the score is the mean of one-shot accuracy (pictures) and zero-shot accuracy (names), whichever the data and
the twin allow, over episodes that are the same at every validation. Without labels, or where no episode is possible, it
is the mean recall at 1 of the retrieval directions.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cross_modal.configuration import EvaluationConfig, Experiment
from cross_modal.data.items import Items
from cross_modal.embed_items import embed_items
from cross_modal.encoders.feature_store import FeatureStore
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError
from cross_modal.evaluation import EvaluationItems, evaluate_embeddings
from cross_modal.fewshot.scoring import Metric
from cross_modal.training.shared_parts import SharedParts

SCORE = "validation/score"
#: Further measures of the validation items' embeddings, by name.
Measure = Callable[[EvaluationItems, Metric], dict[str, float]]
EPISODES, WAYS, QUERIES = 200, (20, 5, 2), 5


class Validation:
    """Measures a twin on the validation items, the same way every time.

    Args:
        items: The validation split; may be empty, then there is no score.
        twin: Any twin of the run, for its trunks.
        experiment: Data and evaluation settings.
        store: Where the tokens of frozen trunks are kept, if they are.
        shared: What other trainings on the same items have in common with this one; None shares nothing.
        measure: What is measured besides, under "validation/…".
    """

    def __init__(
        self,
        items: Items,
        twin: TwinEncoder,
        experiment: Experiment,
        store: FeatureStore | None = None,
        shared: SharedParts | None = None,
        measure: Measure | None = None,
    ) -> None:
        shared = shared or SharedParts.alone()
        self.items, self.store, self.besides = items, store, measure
        pictured = twin.image is not None and len(items)
        self.pictures = shared.pictures(items, twin, experiment.items) if pictured else None
        self.contents = shared.contents(items) if pictured and store is not None else None
        opened = store is not None and twin.frozen and len(items)
        self.features = (
            (shared.features(twin, "image", store), shared.features(twin, "text", store))
            if opened and store is not None
            else (None, None)
        )
        self.labelled = items.labels is not None
        classes = len(items.classes) if self.labelled else 0
        self.config = EvaluationConfig(
            ways=[ways for ways in WAYS if ways <= classes][:1],
            shots=[0, 1],
            queries=QUERIES,
            episodes=EPISODES,
            seed=experiment.evaluation.seed,
        )

    def measure(self, twin: TwinEncoder) -> dict[str, float]:
        """Measures.

        Args:
            twin: The twin as it is now; its mode is restored.

        Returns:
            Metrics under "validation/…", the score under "validation/score"; empty where nothing can be measured.
        """
        if not len(self.items):
            return {}
        embedded = embed_items(
            twin, self.items, self.pictures, store=self.store, features=self.features, contents=self.contents
        )
        try:
            measured = evaluate_embeddings(embedded, self.config, metric=twin.metric).metrics
        except CrossModalError:  # one class, or one modality without labels: there is nothing to compare
            return {}
        if self.besides is not None:
            measured = measured | self.besides(embedded, twin.metric)
        metrics = {f"validation/{name}": value for name, value in measured.items() if not name.endswith("/ci95")}
        episodes = [value for name, value in metrics.items() if name.endswith("/accuracy")]
        recalls = [value for name, value in metrics.items() if name.endswith("/recall_at_1")]
        if episodes or recalls:
            metrics[SCORE] = float(np.mean(episodes or recalls))
        return metrics
