"""From class means and class texts to prototypes of both, for one support or for many at once.

With m_c the mean of a class's K_c shots, p_c = norm(m_c), t_c its text, and n the length-one scaling (nothing for
Euclidean distance):

    λ_c = κ / (κ + K_c)                          a text counts as κ shots
    v_c = norm(λ_c t_c + (1 − λ_c) p_c)          embeddings mixed
    v_c = λ_c t_c + (1 − λ_c) p_c                scores mixed: x·v_c = λ_c x·t_c + (1 − λ_c) x·p_c

Pictures and texts lie apart (the modality gap, Liang et al. 2022, "Mind the gap"), so that a mean of both lies where
neither does, and classes with different shots stand at different levels. Centred, each modality is moved by its own
mean over the classes that have both: p_c = norm(m_c − m̄), t_c = norm(t_c − t̄), and queries norm(x − m̄).

A class that lacks one modality has the other in its place, moved by the mean of t_c − p_c over classes with both, and
counts as many shots as these have on average. So its prototype stands at the level of all others.

All of it is written for a leading axis of supports, because leaving each shot out in turn is one call then.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

TEXT_ALONE = 1e9  # κ from which texts alone are meant; finite, so that it can be written as JSON


@dataclass(frozen=True)
class PrototypeMixture:
    """Prototypes of one support, or of several (leading axes).

    Attributes:
        vectors: (..., C, D) v_c.
        image_mean: (..., D) what queries are moved by before they are compared; zeros where nothing is centred.
        offsets: (..., C) what is added to a class's score: −λ(1 − λ)‖p − t‖² where Euclidean scores are mixed, else 0.
        shot_weights: (..., C) a_c: how much of the class mean is in the prototype, v_c = a_c (m_c − m̄) + rest.
    """

    vectors: np.ndarray
    image_mean: np.ndarray
    offsets: np.ndarray
    shot_weights: np.ndarray


def mix_prototypes(
    means: np.ndarray,
    shots: np.ndarray,
    texts: np.ndarray | None,
    *,
    kappa: float,
    centre: bool,
    blend: str,
    metric: str,
) -> PrototypeMixture:
    """Mixes class means and texts.

    Args:
        means: (..., C, D) means of placed shots; rows of classes without shots are not read.
        shots: (..., C) their numbers.
        texts: (C, D) placed texts, NaN rows where there is none; None without texts.
        kappa: κ ≥ 0: 0 is pictures alone, `TEXT_ALONE` and more is texts alone.
        centre: Move each modality by its own mean, where two classes or more have both.
        blend: "embeddings" or "scores".
        metric: "cosine" or "euclidean".

    Returns:
        The prototypes, in the dtype of `means`.
    """
    dtype = means.dtype
    texts = np.full(means.shape[-2:], np.nan, dtype) if texts is None else texts.astype(dtype, copy=False)
    named = np.isfinite(texts).all(axis=1)
    pictured = shots > 0
    both = pictured & named
    texts = np.where(named[:, None], texts, dtype.type(0))
    centred = (both.sum(-1) >= 2) & centre if named.any() else (pictured.sum(-1) >= 2) & centre
    shared = both if named.any() else pictured
    image_mean = np.where(centred[..., None], _mean(means, shared), dtype.type(0))
    text_mean = np.where(centred[..., None], _mean(texts, shared), dtype.type(0))
    p, picture_lengths = _scaled(means - image_mean[..., None, :], metric)
    t, _ = _scaled(texts - text_mean[..., None, :], metric)
    gap = _mean(t - p, both)[..., None, :]
    moved, moved_lengths = _scaled(p + gap, metric)
    p, t = (
        np.where(pictured[..., None], p, _scaled(t - gap, metric)[0]),
        np.where(named[:, None], t, moved),
    )
    weight = _text_weight(shots, pictured, both, kappa).astype(dtype)  # λ
    of_mean = 1 - weight + np.where(named, dtype.type(0), weight / moved_lengths)
    vectors = weight[..., None] * t + (1 - weight[..., None]) * p
    offsets = np.zeros(weight.shape, dtype)
    if blend == "embeddings":
        vectors, lengths = _scaled(vectors, metric)
        of_mean = of_mean / lengths
    elif metric == "euclidean":
        offsets = -weight * (1 - weight) * np.square(p - t).sum(-1)
    return PrototypeMixture(vectors, image_mean, offsets, np.where(pictured, of_mean / picture_lengths, dtype.type(0)))


def _text_weight(shots: np.ndarray, pictured: np.ndarray, both: np.ndarray, kappa: float) -> np.ndarray:
    """(..., C) float64 λ_c = κ / (κ + K_c)."""
    counted = np.where(both.any(-1, keepdims=True), both, pictured)
    average = (shots * counted).sum(-1, keepdims=True) / np.maximum(counted.sum(-1, keepdims=True), 1)
    if kappa >= TEXT_ALONE:
        return np.ones(np.shape(shots))
    # Without any shot the average is 0, and a text is all that there is.
    count = np.where(pictured, shots, average)
    return np.where(count > 0, kappa / np.where(count > 0, kappa + count, 1), 1.0)


def _mean(rows: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """(..., D) mean of the chosen of (..., C, D) rows; zeros where none is chosen."""
    share = chosen.astype(rows.dtype) / np.maximum(chosen.sum(-1, keepdims=True), 1).astype(rows.dtype)
    return np.einsum("...c,...cd->...d", share, rows)


def _scaled(rows: np.ndarray, metric: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows at length one for cosine (rows of zeros stay), and what they were divided by, (..., C)."""
    if metric != "cosine":
        return rows, np.ones(rows.shape[:-1], rows.dtype)
    lengths = np.sqrt(np.einsum("...d,...d->...", rows, rows))
    lengths = np.where(lengths > 0, lengths, rows.dtype.type(1))
    return rows / lengths[..., None], lengths
