"""Picture and name together: how the two scores are added, learned on validation classes.

A plain average of a picture prototype and a text embedding is worse than the picture alone, because the two kinds of
embedding lie apart (the modality gap): all cosines to texts stand at another level and spread than those to pictures.
So scores are added, not embeddings, each with its own scale:

    score(q, c) = a · s(q, prototype_c) + b · s(q, text_c)

A name that is read wrongly is often read with confidence, and then overrules a good picture. So the name may also be
doubted: with probability d it says nothing, and its share of the score is bounded,

    score(q, c) = a · s(q, prototype_c) + log[(1 − d) · softmax_c(b · s(q, text_c)) + d / N]

which is the sum above at d = 0. a, b and d make the true classes of *validation* episodes likeliest (cross-entropy,
L-BFGS), separately for each number of shots, since five pictures deserve more trust than one. Modalities may be
centred by their validation means first, which closes the gap, everywhere or only where pictures meet texts; whether
that helps is decided on the same episodes. Picture alone and text alone are among the candidates, so that on
validation the mixture is never worse than the better of them.

Source: a product of experts (Hinton 2002); the gap: Liang et al. 2022, "Mind the gap".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.episode_scores import EpisodeScores, doubted
from cross_modal.fewshot.episodes import Episodes, TooFewClasses, sample_episodes
from cross_modal.fewshot.scoring import Metric, check_embeddings, place

LEARNED_FROM = 300  # episodes that settle the scales; choosing between close candidates takes all of them


@dataclass(frozen=True)
class MixtureWeights:
    """The scales for one number of shots.

    Attributes:
        image_scale: Factor of the score against the picture prototype, at least 0.
        text_scale: Factor of the score against the class text, at least 0.
        centre_image: Subtract the image mean from the pictures where they are compared with pictures.
        centre_text: Subtract each modality's own mean where pictures are compared with texts.
        accuracies: Validation accuracy of "image", "text" and "both" (those that exist).
        doubt: d, the probability that a name says nothing, in [0, 1).
    """

    image_scale: float
    text_scale: float
    centre_image: bool
    centre_text: bool
    accuracies: Mapping[str, float]
    doubt: float = 0.0

    def add(self, image: torch.Tensor | None, text: torch.Tensor | None) -> torch.Tensor:
        """Adds the two scores.

        Args:
            image: (..., W) scores against prototypes; may be None where their scale is 0.
            text: (..., W) scores against texts; may be None where their scale is 0.

        Returns:
            (..., W): logits, whose softmax is the probability of each class.
        """
        parts = []
        if image is not None:
            parts.append(self.image_scale * image)
        if text is not None:
            parts.append(doubted(self.text_scale * text, self.doubt))
        if not parts:
            raise CrossModalError("mixture: expected scores of at least one modality, found none")
        return sum(parts[1:], parts[0])


@dataclass(frozen=True)
class Mixture:
    """How picture and name are weighed, for each number of shots.

    Attributes:
        by_shots: Number of shots → its scales; an entry for 0 says how names alone are scored.
        image_mean: (dim,) mean of the validation images' embeddings.
        text_mean: (dim,) mean of the validation classes' texts.
        metric: The metric of the scores.
    """

    by_shots: Mapping[int, MixtureWeights]
    image_mean: tuple[float, ...]
    text_mean: tuple[float, ...]
    metric: Metric = "cosine"

    @property
    def mixes(self) -> bool:
        """It holds scales for at least one number of shots above zero."""
        return any(shots > 0 for shots in self.by_shots)

    def at(self, shots: int) -> MixtureWeights:
        """The scales for `shots`, or for the number of shots nearest to it by ratio.

        >>> one = MixtureWeights(2.0, 1.0, False, False, {})
        >>> Mixture({1: one}, (0.0,), (0.0,)).at(2) is one
        True
        """
        known = [count for count in self.by_shots if count > 0]
        if not known:
            raise CrossModalError(f"mixture: expected scales for {shots} shots, found none for any")
        return self.by_shots[min(known, key=lambda count: (abs(math.log(count / shots)), count))]

    def means(self) -> tuple[np.ndarray, np.ndarray]:
        """The modality means (dim,) float32: image, text."""
        return np.array(self.image_mean, np.float32), np.array(self.text_mean, np.float32)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able primitives, for `from_dict`."""
        return {
            "metric": self.metric,
            "by_shots": {str(shots): asdict(weights) for shots, weights in self.by_shots.items()},
            "image_mean": list(self.image_mean),
            "text_mean": list(self.text_mean),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Mixture:
        """Reads what `to_dict` wrote.

        Raises:
            CrossModalError: A key is missing or no number where one is expected.
        """
        try:
            by_shots = {
                int(shots): MixtureWeights(
                    float(entry["image_scale"]),
                    float(entry["text_scale"]),
                    bool(entry["centre_image"]),
                    bool(entry["centre_text"]),
                    {str(kind): float(value) for kind, value in entry["accuracies"].items()},
                    float(entry.get("doubt", 0.0)),
                )
                for shots, entry in values["by_shots"].items()
            }
            means = [tuple(float(value) for value in values[name]) for name in ("image_mean", "text_mean")]
            return cls(by_shots, means[0], means[1], values["metric"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CrossModalError(
                f"mixture: expected by_shots, image_mean, text_mean and metric, found {type(error).__name__}: {error}"
            ) from error


def fit_mixture(
    image_embeddings: np.ndarray,
    image_class_ids: np.ndarray,
    text_by_class: np.ndarray,
    *,
    shots: Sequence[int] = (1, 5),
    ways: int = 20,
    queries: int = 5,
    episodes: int = 2000,
    seed: int = 0,
    metric: Metric = "cosine",
    groups: np.ndarray | None = None,
    sets: np.ndarray | None = None,
    genuine: np.ndarray | None = None,
) -> Mixture:
    """Learns the mixture from embeddings of validation classes.

    Args:
        image_embeddings: (N, dim) of validation images.
        image_class_ids: (N,) integers.
        text_by_class: (C, dim), row c the text embedding of class id c; a class whose row is NaN takes no part.
        shots: Numbers of shots to learn scales for; 0 decides only whether names alone are better centred. Those that
            the data does not allow are left out.
        ways: Classes of an episode; fewer where validation has fewer.
        queries: Query items of each class.
        episodes: Validation episodes.
        seed: Their seed.
        metric: "cosine" or "euclidean".
        groups: As in `sample_episodes`.
        sets: As in `sample_episodes`.
        genuine: As in `sample_episodes`.

    Returns:
        The mixture.

    Raises:
        CrossModalError: Embeddings are not finite, or validation allows no episode of any of `shots`.
    """
    images = check_embeddings("validation image embeddings", image_embeddings)
    ids, texts = _named_classes(images, np.asarray(image_class_ids, np.int64), np.asarray(text_by_class, np.float32))
    columns = {"groups": groups, "sets": sets, "genuine": genuine}
    means = _means(place(images, metric), place(texts, metric), ids)
    by_shots: dict[int, MixtureWeights] = {}
    failure: TooFewClasses | None = None
    for count in shots:
        try:
            drawn = _episodes(ids, ways, shots=count, queries=queries, episodes=episodes, seed=seed, **columns)
        except TooFewClasses as error:
            failure = error
            continue
        by_shots[count] = _fit(images, texts, drawn, means, metric)
    if failure and not by_shots:
        raise failure
    return Mixture(by_shots, tuple(means[0].tolist()), tuple(means[1].tolist()), metric)


def _named_classes(images: np.ndarray, ids: np.ndarray, texts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Class ids with −1 where the class has no text, and the texts (C, dim) with zero rows for those."""
    if len(ids) != len(images):
        raise CrossModalError(f"mixture: {len(images)} image embeddings but {len(ids)} class ids")
    least = (int(ids.max(initial=-1)) + 1, images.shape[1])
    if texts.ndim != 2 or texts.shape[1] != least[1] or len(texts) < least[0]:
        raise CrossModalError(f"mixture: expected texts of at least {least} (classes, dim), found {texts.shape}")
    named = np.asarray(np.isfinite(texts).all(axis=1))
    ids = np.where((ids >= 0) & named[np.maximum(ids, 0)], ids, -1)
    count = len(np.unique(ids[ids >= 0]))
    if count < 2:
        raise TooFewClasses(f"mixture: expected at least 2 validation classes with picture and text, found {count}")
    return ids, np.where(named[:, None], texts, np.float32(0))


def _means(images: np.ndarray, texts: np.ndarray, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean over classes (dim,) of images and of texts: a large class pulls no further than a small one."""
    present, rows, counts = np.unique(ids[ids >= 0], return_inverse=True, return_counts=True)
    sums = np.zeros((len(present), images.shape[1]))
    np.add.at(sums, rows, images[ids >= 0])
    return (sums / counts[:, None]).mean(0), texts[present].mean(0, dtype=np.float64)


def _episodes(ids: np.ndarray, ways: int, **setting: Any) -> Episodes:
    """Validation episodes of `ways` classes, or of fewer where the data has fewer that may meet."""
    ways = max(2, min(ways, len(np.unique(ids[ids >= 0]))))
    while True:
        try:
            return sample_episodes(ids, ways=ways, **setting)
        except TooFewClasses:
            if ways == 2:
                raise
            ways = max(2, ways // 2)


def _fit(
    images: np.ndarray,
    texts: np.ndarray,
    episodes: Episodes,
    means: tuple[np.ndarray, np.ndarray],
    metric: Metric,
) -> MixtureWeights:
    """The best of: learned scales plain and centred, picture alone, text alone (0 shots: text, plain or centred)."""
    plain, centred = (
        EpisodeScores.of(place(images, metric, mean), place(texts, metric, text_mean), episodes, metric)
        for mean, text_mean in ((None, None), means)
    )
    trials: list[tuple[float, MixtureWeights]] = []

    def try_out(scores: EpisodeScores, scales: tuple[float, float], image: bool, text: bool, doubt: float = 0) -> float:
        accuracy = scores.accuracy(*scales, doubt)
        trials.append((accuracy, MixtureWeights(*scales, image, text, {}, doubt)))
        return accuracy

    for centre_image, centre_text in ((False, False), (False, True), (True, True)):
        if episodes.shots or centre_image == centre_text:
            scores = replace(centred if centre_image else plain, text=centred.text if centre_text else plain.text)
            learned = scores.first(LEARNED_FROM)
            scales = learned.likeliest_scales()
            try_out(scores, scales, centre_image, centre_text)
            if episodes.shots:
                *doubted_scales, doubt = learned.likeliest_doubt(scales)
                try_out(scores, (doubted_scales[0], doubted_scales[1]), centre_image, centre_text, doubt)
    alone = {"text": try_out(plain, (0.0, 1.0), False, False)}
    if episodes.shots:
        alone["image"] = try_out(plain, (1.0, 0.0), False, False)
    # The first best wins: plain before centred, what was learned before either alone.
    accuracy, weights = max(trials, key=lambda trial: trial[0])
    return replace(weights, accuracies=alone | {"both" if episodes.shots else "text": accuracy})
