"""The few-shot sandbox: N classes, K supports each, a method; what it says of queries, and because of what.

No Streamlit here. Draws are a function of the seed, so that a link shows the same supports again; a support that was
swapped is named in the link. Forgeries are neither supports nor queries, and a support is never a query.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.classifiers import METHODS
from cross_modal.fewshot.classifiers.classifier import FewShotClassifier
from cross_modal.fewshot.intervals import mean_and_interval
from cross_modal.fewshot.support_votes import leave_one_out, votes
from cross_modal.gallery.matrix import Matrix

ADDITIVE = ("prototypes", "tip_adapter")  # whose votes are exact
QUICK = ("prototypes", "nearest_neighbours", "zero_shot", "tip_adapter", "gaussian_discriminant")


@dataclass(frozen=True)
class Pool:
    """The pictures of a gallery that can be supports and queries.

    Attributes:
        matrix: The gallery's rows.
        metric: How they are compared.
    """

    matrix: Matrix
    metric: str

    @cached_property
    def of_class(self) -> dict[str, np.ndarray]:
        """Label → rows of its genuine pictures (of its texts, where there are no pictures at all)."""
        labels, kinds = self.matrix.column("label"), self.matrix.column("kind")
        genuine = np.array([value is not False for value in self.matrix.column("genuine")], bool)
        wanted = "image" if (kinds == "image").any() else "text"
        found: dict[str, list[int]] = {}
        for row in np.flatnonzero(genuine & (kinds == wanted)).tolist():
            if labels[row] is not None:
                found.setdefault(labels[row], []).append(row)
        return {label: np.array(rows) for label, rows in sorted(found.items())}

    @cached_property
    def texts(self) -> dict[str, np.ndarray]:
        """Label → mean embedding of its text rows."""
        labels, kinds = self.matrix.column("label"), self.matrix.column("kind")
        found: dict[str, list[int]] = {}
        for row in np.flatnonzero(kinds == "text").tolist():
            if labels[row] is not None:
                found.setdefault(labels[row], []).append(row)
        return {label: self.matrix.vectors[rows].mean(0) for label, rows in found.items()}

    def classes(self, count: int, shots: int, seed: int) -> list[str]:
        """Draws classes that have enough pictures for the supports and a query.

        Raises:
            CrossModalError: There are not so many.
        """
        enough = [label for label, rows in self.of_class.items() if len(rows) > shots]
        if len(enough) < count:
            raise CrossModalError(
                f"sandbox: expected {count} classes with {shots + 1} pictures or more, found {len(enough)}"
            )
        chosen = np.random.default_rng([seed, 0]).permutation(len(enough))[:count]
        return [enough[place] for place in sorted(chosen.tolist())]

    def supports(self, classes: Sequence[str], shots: int, seed: int) -> dict[str, list[int]]:
        """Draws K supports of each class: rows."""
        found = {}
        for label in classes:
            rows = self.of_class.get(label)
            if rows is None:
                raise CrossModalError(f"sandbox: expected a class of the gallery, found {label!r}")
            order = np.random.default_rng([seed, 1, _number(label)]).permutation(len(rows))
            found[label] = rows[order[: min(shots, len(rows) - 1)]].tolist()
        return found


@dataclass(frozen=True)
class Episode:
    """One set-up of the sandbox.

    Attributes:
        pool: Where everything comes from.
        method: A name of `METHODS`.
        supports: Class → rows.
        with_texts: The classes' texts take part, where there are any.
        queries: Query rows; each of a class of the episode.
        uploaded: Class → (n, dim) embeddings of supports that are not of the gallery; the class may be a new one.
    """

    pool: Pool
    method: str
    supports: Mapping[str, Sequence[int]]
    with_texts: bool = True
    queries: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    uploaded: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def classes(self) -> list[str]:
        """All classes, sorted: the order of the probabilities."""
        return sorted({*self.supports, *self.uploaded})

    @cached_property
    def classifier(self) -> FewShotClassifier:
        """The method, fitted to the supports.

        Raises:
            CrossModalError: A method that needs what is not there.
        """
        classes = self.classes
        labels = [label for label in sorted(self.supports) for _ in self.supports[label]]
        labels += [label for label, vectors in self.uploaded.items() for _ in vectors]
        vectors = np.concatenate([self.pool.matrix.vectors[self.support_rows], *self.uploaded.values()])
        texts = self._texts(classes)
        made = METHODS[self.method](texts=texts, classes=classes if texts is not None else None)
        made.set_params(metric=self.pool.metric)
        return made.fit(vectors if labels else None, np.array(labels, object) if labels else None)

    @property
    def support_rows(self) -> np.ndarray:
        """Rows in the order in which the classifier knows them; the uploaded supports come after them."""
        return np.array([row for label in sorted(self.supports) for row in self.supports[label]], np.int64)

    def probabilities(self, vectors: np.ndarray) -> np.ndarray:
        """(Q, C) probabilities of the classes, in their sorted order."""
        return np.asarray(self.classifier.predict_proba(vectors))

    @cached_property
    def accuracy(self) -> float:
        """Share of the queries that are named rightly; NaN without any."""
        if not len(self.queries):
            return float("nan")
        labels = self.pool.matrix.column("label")[self.queries]
        said = self.classifier.predict(self.pool.matrix.vectors[self.queries])
        return float((np.asarray(said, object) == labels).mean())

    def shares(self, vector: np.ndarray) -> np.ndarray | None:
        """(N,) what each support gave to the winner's score; None where the method is no sum of votes."""
        if self.method not in ADDITIVE:
            return None
        return votes(self.classifier, vector[None]).support[0]

    def doubtful(self) -> np.ndarray:
        """(N,) margin of each support by all others; negative ones look mislabelled."""
        return leave_one_out(self.classifier)

    def swapped(self, label: str, place: int) -> Episode:
        """The same with another support of a class in this place: the next picture that is not in use.

        Raises:
            CrossModalError: The class has no other picture.
        """
        rows, used = self.pool.of_class[label], set(self.supports[label])
        free = [row for row in rows.tolist() if row not in used]
        if not free:
            raise CrossModalError(f"sandbox: expected another picture of {label!r}, found all of them in use")
        old = self.supports[label][place]
        following = next((row for row in free if row > old), free[0])
        mended = [following if at == place else row for at, row in enumerate(self.supports[label])]
        supports = {**self.supports, label: mended}
        return replace(self, supports=supports, queries=self._without(self.queries, mended))

    def _without(self, queries: np.ndarray, rows: Sequence[int]) -> np.ndarray:
        return queries[~np.isin(queries, np.asarray(rows))]

    def _texts(self, classes: Sequence[str]) -> np.ndarray | None:
        known = self.pool.texts
        if not self.with_texts or not any(label in known for label in classes):
            return None
        nothing = np.full(self.pool.matrix.vectors.shape[1], np.nan, np.float32)
        return np.stack([known.get(label, nothing) for label in classes])


def draw(
    pool: Pool, method: str, classes: Sequence[str], shots: int, seed: int, queries: int = 5, with_texts: bool = True
) -> Episode:
    """Draws an episode: supports, and other pictures of the same classes as queries.

    Args:
        pool: Where from.
        method: A name of `METHODS`.
        classes: The classes.
        shots: K supports of each, as far as a class has one picture more.
        seed: Of the draw.
        queries: Queries of each class at most.
        with_texts: Let the classes' texts take part.
    """
    supports = pool.supports(classes, shots, seed)
    generator = np.random.default_rng([seed, 2])
    found = []
    for label in classes:
        rest = np.setdiff1d(pool.of_class[label], supports[label])
        found.append(generator.permutation(rest)[:queries])
    return Episode(pool, method, supports, with_texts, np.concatenate(found) if found else np.zeros(0, np.int64))


def spread(episode: Episode, draws: int, seed: int, shots: int) -> np.ndarray:
    """(D,) accuracies of the same classes and method over other draws of the supports."""
    classes = sorted(episode.supports)
    return np.array(
        [
            draw(episode.pool, episode.method, classes, shots, seed + 1 + each, with_texts=episode.with_texts).accuracy
            for each in range(draws)
        ]
    )


def over_shots(episode: Episode, shots: Sequence[int], draws: int, seed: int) -> list[tuple[int, float, float]]:
    """(K, mean accuracy, half-width of its 95 % interval) for several K."""
    rows = []
    for number in shots:
        mean, half = mean_and_interval(spread(episode, draws, seed, number))
        rows.append((number, float(mean), float(half)))
    return rows


def _number(label: str) -> int:
    """A number of a label that is the same everywhere."""
    import zlib

    return zlib.crc32(label.encode())
