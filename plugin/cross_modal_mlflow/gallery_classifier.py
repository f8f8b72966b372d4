"""A gallery as a few-shot classifier: its labelled rows are the supports, its labelled texts the classes' texts.

For pictures, picture rows are the shots and text rows (their mean) the class texts; a gallery of texts alone classifies
pictures by names only. For texts, text rows are the shots, or picture rows where there are no texts. Forgeries
(``genuine`` = 0) support nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.classifiers import METHODS, FewShotClassifier
from cross_modal.fewshot.rejection import accepted
from cross_modal.fewshot.support_votes import votes
from cross_modal.gallery.cohort import ATTACHMENT, Cohort, Kind
from cross_modal.gallery.cross_fitted import ReferenceRejection, learn_rejection
from cross_modal.gallery.filter import Filter
from cross_modal_mlflow.gallery_supports import SupportRows
from cross_modal_mlflow.logged_support import LoggedSupport
from cross_modal_mlflow.support_classifier import fit_support

if TYPE_CHECKING:
    from cross_modal.fewshot.mixture import Mixture
    from cross_modal.gallery.gallery import Gallery
    from cross_modal.gallery.matrix import Matrix

VOTERS = 3  # supports shown of a prediction
_SUMS = ("prototypes", "tip_adapter", "tip_adapter_f")  # scores that are sums over supports


@dataclass(frozen=True)
class Voter:
    """A reference that spoke for a label.

    Attributes:
        id: Its id; "its text" for the class's text.
        share: Its share of all that was added to the label's score, by size; None where scores are no sum.
        score: Its own score against the query: cosine, or minus the Euclidean distance; None for a text.
    """

    id: str
    share: float | None
    score: float | None


@dataclass(frozen=True)
class Candidate:
    """One class of those a query may be of.

    Attributes:
        label: The class.
        confidence: Its probability among the gallery's classes.
        score: What the classifier gave it, in units of the similarity (the logit over the classifier's scale).
        voters: The references that spoke for it, the loudest first.
    """

    label: str
    confidence: float
    score: float
    voters: tuple[Voter, ...] = ()


@dataclass(frozen=True)
class Prediction:
    """What a query is.

    Attributes:
        name: The query: a file, or a text.
        label: Its class; None: unknown, or no class of the gallery.
        candidates: The best classes, best first.
        margin: Score of the best less that of the runner-up; None with one class.
        notes: What to know, a sentence each.
    """

    name: str
    label: str | None
    candidates: tuple[Candidate, ...]
    margin: float | None
    notes: tuple[str, ...] = ()


@dataclass
class GalleryClassifier:
    """A classifier fitted on a gallery's labelled rows.

    Attributes:
        classifier: Fitted on all of them, with temperature and threshold.
        rejection: What the threshold was learned from.
        ids: (N,) ids of the supports, in the classifier's order.
        vectors: (N, D) their embeddings.
        method: The classifier's name.
        shots: How many supports.
        texts: How many texts.
        notes: What to know of all predictions.
        contents: Hash of what was embedded → id of the support.
    """

    classifier: FewShotClassifier
    rejection: ReferenceRejection
    ids: np.ndarray
    vectors: np.ndarray
    method: str
    shots: int
    texts: int
    notes: tuple[str, ...] = ()
    contents: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        gallery: Gallery,
        kind: Kind = "image",
        *,
        method: str = "prototypes",
        where: Filter | None = None,
        false_accept_rate: float = 0.05,
        mixture: Mixture | None = None,
        seed: int = 0,
    ) -> GalleryClassifier:
        """Fits.

        Args:
            gallery: The gallery.
            kind: What the queries are.
            method: A few-shot classifier by name.
            where: Which rows support; all that have a label unless given.
            false_accept_rate: The share of strangers that may be given a label; 1 gives every query one.
            mixture: How the model weighs pictures and names, as it learned on validation classes.
            seed: Of the folds.

        Raises:
            CrossModalError: An empty gallery, no labels, an unknown method, or one that needs texts that are not there.
        """
        if not len(gallery):
            raise CrossModalError(f"gallery {gallery.location}: expected labelled references, found an empty gallery")
        matrix = gallery.matrix()
        rows = SupportRows.of(gallery, matrix, where)
        shots, texts, notes = rows.roles(kind)
        support = LoggedSupport(
            images=matrix.vectors[shots],
            image_labels=rows.labels[shots].tolist(),
            texts=matrix.vectors[texts],
            text_labels=rows.labels[texts].tolist(),
            image_rows=shots.tolist(),
            text_rows=texts.tolist(),
            method=method,
        )
        classifier = fit_support(support, method=method, metric=gallery.binding.metric, mixture=mixture)
        y = rows.labels[shots].astype(str)
        rejection = _rejection(
            classifier,
            matrix,
            shots,
            y,
            _strangers(gallery, kind, classifier),
            rows.groups[shots],
            false_accept_rate,
            seed,
        )
        contents = dict(zip(rows.contents[shots], matrix.ids[shots], strict=True))
        return cls(
            classifier,
            rejection,
            matrix.ids[shots],
            matrix.vectors[shots],
            method,
            len(shots),
            len(texts),
            (*notes, *rows.notes(), *rejection.notes),
            contents,
        )

    def predict(
        self,
        names: Sequence[str],
        vectors: np.ndarray,
        top: int = 3,
        contents: Sequence[str | None] | None = None,
    ) -> list[Prediction]:
        """Names the classes of queries.

        Args:
            names: Q names.
            vectors: (Q, D) their embeddings.
            top: Candidates of each.
            contents: Q hashes of what was embedded, by which a query that is itself a support is found out.

        Returns:
            Q predictions.
        """
        vectors = np.ascontiguousarray(vectors, np.float32)
        scores, probabilities = self.classifier.scores(vectors), self.classifier.predict_proba(vectors)
        order = np.argsort(-scores, axis=1, kind="stable")[:, : max(top, 2)]
        spoken = votes(self.classifier, vectors) if self.method in _SUMS and self.shots else None
        threshold = self.rejection.threshold
        known = np.ones(len(scores), bool) if threshold is None else accepted(scores.max(axis=1), threshold)
        found = []
        for row, name in enumerate(names):
            best = order[row, :top].tolist()
            candidates = tuple(
                Candidate(
                    str(self.classifier.classes_[place]),
                    float(probabilities[row, place]),
                    float(scores[row, place]) / self.classifier.scale,
                    self._voters(
                        vectors[row], place, None if spoken is None else (spoken.support[row], spoken.text[row])
                    ),
                )
                for place in best
            )
            two = scores[row, order[row, :2]] / self.classifier.scale
            twin = None if contents is None else self.contents.get(contents[row] or "")
            notes = () if twin is None else (f"{name} is itself among the references ({twin}): it votes for itself",)
            margin = float(two[0] - two[1]) if len(two) > 1 else None
            found.append(Prediction(name, candidates[0].label if known[row] else None, candidates, margin, notes))
        return found

    def _voters(self, query: np.ndarray, place: int, spoken: tuple[np.ndarray, np.ndarray] | None) -> tuple[Voter, ...]:
        """The supports of a class that spoke loudest for it; where scores are no sum, its nearest ones."""
        own = np.flatnonzero(self.classifier.support_classes_ == place) if self.shots else np.zeros(0, np.int64)
        alike = _similarities(self.vectors[own], query, self.classifier.metric)
        if spoken is None:
            nearest = np.argsort(-alike, kind="stable")[:VOTERS]
            return tuple(Voter(str(self.ids[own[at]]), None, float(alike[at])) for at in nearest.tolist())
        support, text = spoken[0][own], float(spoken[1][place])
        total = float(np.abs(support).sum()) + abs(text)
        if not total:
            return ()
        heard = [
            Voter(str(self.ids[row]), float(vote) / total, float(score))
            for row, vote, score in zip(own.tolist(), support, alike, strict=True)
        ]
        if self.texts:
            heard.append(Voter("its text", text / total, None))
        return tuple(sorted(heard, key=lambda voter: -(voter.share or 0.0))[:VOTERS])


def method_named(name: str) -> str:
    """A classifier's name however it is written.

    >>> method_named("TipAdapter"), method_named("prototypes")
    ('tip_adapter', 'prototypes')
    """
    known = {each.replace("_", ""): each for each in METHODS}
    found = known.get(name.lower().replace("_", "").replace("-", ""))
    if found is None:
        raise CrossModalError(f"--method: expected one of {', '.join(METHODS)}, found {name!r}")
    return found


def _rejection(
    classifier: FewShotClassifier,
    matrix: Matrix,
    shots: np.ndarray,
    y: np.ndarray,
    cohort: np.ndarray | None,
    groups: np.ndarray,
    rate: float,
    seed: int,
) -> ReferenceRejection:
    """Learns threshold and temperature; a rate of 1 learns the temperature and keeps no threshold."""
    learned = learn_rejection(
        classifier,
        matrix.vectors[shots],
        y,
        false_accept_rate=rate if rate < 1 else 0.05,
        cohort=cohort,
        groups=groups.tolist(),
        seed=seed,
    )
    if rate < 1:
        return learned
    calibrated: Any = classifier
    calibrated.threshold_ = None
    return ReferenceRejection(
        None, learned.temperature, "none", 0, learned.held_out, learned.accuracy, None, ("nothing is ever unknown",)
    )


def _strangers(gallery: Gallery, kind: Kind, classifier: FewShotClassifier) -> np.ndarray | None:
    """(M, D) the cohort's items of no class of the classifier; None without a cohort of what the queries are."""
    content = gallery.attachment(ATTACHMENT)
    if content is None:
        return None
    cohort = Cohort.from_bytes(content, f"gallery {gallery.location}: cohort")
    if cohort.kind != kind:
        return None
    return cohort.embeddings[~np.isin(cohort.labels.astype(str), classifier.classes_)]


def _similarities(rows: np.ndarray, query: np.ndarray, metric: str) -> np.ndarray:
    if metric == "cosine":
        return rows @ query
    return -np.linalg.norm(rows - query, axis=1)
