"""A gallery on a plane: where its embeddings lie to each other, for a map that people look at.

Principal components first, then a neighbour embedding. t-SNE of all rows takes minutes where there are many, so it is
made of a sample (landmarks) and every other row is placed among the landmarks that are nearest to it, which takes
seconds at any size. A plane can never keep all neighbours: how many it kept is measured and goes with the map, and
everything that is decided (searches, errors, duplicates) is decided among the embeddings themselves.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass

import numpy as np

from cross_modal.errors import CrossModalError
from cross_modal.gallery.exact_search import nearest

TSNE, PLACED, PCA_ONLY = "t-SNE", "t-SNE of a sample", "PCA"
_FEW = 10  # rows; fewer have no neighbourhoods to keep
_NEIGHBOURS, _MEASURED = 10, 1000  # what the measures look at: neighbours of a row, rows
_AROUND = 5  # landmarks that place a row
_SMALL, _PATIENCE = 500, 1000  # rows up to which t-SNE takes so many steps: it takes them in a fifth of a second


@dataclass(frozen=True)
class ProjectionConfig:
    """How a gallery is laid out on a plane.

    Attributes:
        landmarks: Rows that t-SNE lays out; up to so many rows all are.
        dimensions: Principal components that t-SNE gets.
        perplexity: About how many neighbours count; less where there are few rows.
        iterations: Steps of t-SNE, at least 300, of which the first 250 only sort out the rough places. Up to 500 rows
            get 1,000, which they need, as steps are long for them.
        seed: Of the sample and of t-SNE.
    """

    landmarks: int = 2000
    dimensions: int = 50
    perplexity: float = 30.0
    iterations: int = 500
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("landmarks", _FEW), ("dimensions", 2), ("perplexity", 1), ("iterations", 300)):
            if getattr(self, name) < least:
                raise CrossModalError(f"projection: expected {name} of at least {least}, found {getattr(self, name)}")


@dataclass(frozen=True)
class Projection:
    """Rows on a plane.

    Attributes:
        xy: (N, 2) float32 in [0, 1]², in proportion: the wider side fills it, the other is centred.
        method: "t-SNE", "t-SNE of a sample" or "PCA" (fewer than ten rows).
        landmarks: Rows that t-SNE laid out.
        seed: Of all that was drawn.
        seconds: What it took.
        kept: Mean share of a row's 10 nearest rows that are among its 10 nearest on the plane, of 1,000 rows at most;
            None for fewer than 12 rows.
        trustworthiness: 0–1, of a sample of 1,000 rows at most: how few rows are near on the plane that are not near
            among the embeddings (Venna & Kaski 2001); None for fewer than 22 rows.
    """

    xy: np.ndarray
    method: str
    landmarks: int
    seed: int
    seconds: float
    kept: float | None
    trustworthiness: float | None

    def facts(self) -> dict[str, object]:
        """All but the coordinates."""
        return {name: value for name, value in asdict(self).items() if name != "xy"}


def project(vectors: np.ndarray, kinds: np.ndarray | None = None, config: ProjectionConfig | None = None) -> Projection:
    """Lays embeddings out on a plane.

    t-SNE: van der Maaten & Hinton, JMLR 2008; its approximation: van der Maaten, JMLR 2014; begun from principal
    components: Kobak & Berens, Nature Communications 2019.

    Args:
        vectors: (N, D) float, finite.
        kinds: (N,) str, "image" or "text": the sample has enough of each; None where all are of one kind.
        config: How.

    Returns:
        The plane. The same input gives the same plane on one machine.

    Raises:
        CrossModalError: No rows, or numbers that are not finite.

    Examples:
        >>> made = project(np.eye(4, dtype=np.float32))
        >>> made.method, made.xy.shape, float(made.xy.min()) >= 0, float(made.xy.max()) <= 1
        ('PCA', (4, 2), True, True)
    """
    config = config or ProjectionConfig()
    if vectors.ndim != 2 or not len(vectors) or not np.isfinite(vectors).all():
        raise CrossModalError(f"projection: expected (N, D) finite embeddings, found {vectors.shape}")
    start = time.perf_counter()
    components = _components(vectors, config)
    rows = landmark_rows(len(vectors), kinds, config)
    if len(vectors) < _FEW or not components.any():  # all the same: nothing for neighbours to differ in
        method, plane = PCA_ONLY, components[:, :2]
    elif len(rows) == len(vectors):
        method, plane = TSNE, _tsne(components, config)
    else:
        method, plane = PLACED, _placed(components, rows, _tsne(components[rows], config))
    xy = _into_square(plane)
    kept, trust = _measures(vectors, xy, config.seed)
    seconds = round(time.perf_counter() - start, 3)
    return Projection(xy, method, 0 if method == PCA_ONLY else len(rows), config.seed, seconds, kept, trust)


def landmark_rows(count: int, kinds: np.ndarray | None, config: ProjectionConfig) -> np.ndarray:
    """The rows that t-SNE lays out: all, or a sample in which each kind has its share, and a quarter at least.

    Without that, the few names of a gallery of pictures would have none of their own and be lost among pictures.

    >>> kinds = np.array(["image"] * 90 + ["text"] * 10)
    >>> rows = landmark_rows(100, kinds, ProjectionConfig(landmarks=20))
    >>> len(rows), int((kinds[rows] == "text").sum())
    (20, 5)

    Returns:
        (n,) int64, ascending.
    """
    if count <= config.landmarks:
        return np.arange(count)
    generator = np.random.default_rng(config.seed)
    if kinds is None:
        return np.sort(generator.permutation(count)[: config.landmarks])
    quarter, chosen = config.landmarks // 4, []
    order = generator.permutation(count)
    for kind in np.unique(kinds.astype(str)):
        chosen.append(order[kinds[order] == kind][:quarter])
    first = np.concatenate(chosen)[: config.landmarks]
    others = order[~np.isin(order, first)][: config.landmarks - len(first)]
    return np.sort(np.concatenate([first, others]))


def gap(vectors: np.ndarray, kinds: np.ndarray) -> float | None:
    """The modality gap: distance of the centroids of pictures and of texts; None where there is one kind only.

    Liang et al., "Mind the Gap", NeurIPS 2022; 0 to 2 for embeddings of unit length.

    Args:
        vectors: (N, D) float.
        kinds: (N,) str, "image" or "text".

    Examples:
        >>> gap(np.array([[1.0, 0], [0, 1], [0, -1]]), np.array(["image", "text", "text"]))
        1.0
    """
    sides = [vectors[kinds == kind] for kind in ("image", "text")]
    if not all(len(side) for side in sides):
        return None
    image, text = (side.mean(axis=0, dtype=np.float64) for side in sides)
    return float(np.linalg.norm(image - text))


def _components(vectors: np.ndarray, config: ProjectionConfig) -> np.ndarray:
    """Principal components: (N, at least 2) float32, zeros where the embeddings have fewer."""
    from sklearn.decomposition import PCA

    count = min(config.dimensions, *vectors.shape)
    flat = np.zeros((len(vectors), max(count, 2)), np.float32)
    if len(vectors) > 1 and np.ptp(vectors, axis=0).any():
        flat[:, :count] = PCA(count, svd_solver="full" if len(vectors) < 500 else "covariance_eigh").fit_transform(
            vectors.astype(np.float64)
        )
    return flat


def _tsne(components: np.ndarray, config: ProjectionConfig) -> np.ndarray:
    from sklearn.manifold import TSNE as Embedding

    perplexity = min(config.perplexity, (len(components) - 1) / 3)
    # init="pca" would compute them anew; the scale is the one that it uses.
    first = components[:, :2] / max(float(components[:, 0].std()), np.finfo(np.float32).tiny) * 1e-4
    steps = max(config.iterations, _PATIENCE if len(components) <= _SMALL else 0)
    made = Embedding(2, perplexity=perplexity, init=first, max_iter=steps, random_state=config.seed)
    return made.fit_transform(components)


def _placed(components: np.ndarray, rows: np.ndarray, plane: np.ndarray) -> np.ndarray:
    """All rows: landmarks where they are, others among the nearest landmarks, the nearest counting most."""
    places, scores = nearest(components[rows], components, _AROUND, "euclidean")
    squares = scores.astype(np.float64) ** 2
    widths = np.maximum(squares[:, -1:] - squares[:, :1], np.finfo(np.float64).tiny)
    weights = np.exp(-4.0 * (squares - squares[:, :1]) / widths)
    whole = np.einsum("nk,nkd->nd", weights / weights.sum(axis=1, keepdims=True), plane[places])
    whole[rows] = plane
    return whole


def _into_square(plane: np.ndarray) -> np.ndarray:
    """Into [0, 1]², in proportion.

    >>> _into_square(np.array([[0.0, 0.0], [4.0, 2.0]])).tolist()
    [[0.0, 0.25], [1.0, 0.75]]
    """
    low, high = plane.min(axis=0), plane.max(axis=0)
    side = float((high - low).max()) or 1.0
    return np.clip((plane - (low + high) / 2) / side + 0.5, 0.0, 1.0).astype(np.float32)


def _measures(vectors: np.ndarray, xy: np.ndarray, seed: int) -> tuple[float | None, float | None]:
    """The share of neighbours kept, and trustworthiness."""
    from sklearn.manifold import trustworthiness

    if len(vectors) < _NEIGHBOURS + 2:
        return None, None
    rows = np.random.default_rng(seed).permutation(len(vectors))[:_MEASURED]
    sets = []
    for space in (vectors, xy):
        space = np.ascontiguousarray(space, np.float32)
        found, _ = nearest(space, space[rows], _NEIGHBOURS + 1, "euclidean")
        # Of equal rows any may stand first, so a row is taken from its own list wherever it stands, else the last one.
        own = found == rows[:, None]
        own[~own.any(axis=1), -1] = True
        sets.append(found[~own].reshape(len(rows), _NEIGHBOURS))
    kept = float((sets[0][:, :, None] == sets[1][:, None, :]).any(axis=2).mean())
    if len(rows) <= 2 * _NEIGHBOURS + 1:
        return kept, None
    return kept, float(trustworthiness(vectors[rows], xy[rows], n_neighbors=_NEIGHBOURS))
