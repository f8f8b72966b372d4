"""Gauges of an embedding's health, as pure functions of (n, d) tensors whose rows have length one.

No single one suffices: effective rank misses a full collapse (what little is left still fills all dimensions), spread
misses a collapse onto a few dimensions. All together cost some 10 ms on 1,000 rows.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from cross_modal.objectives.row_pairs import row_partners

ROWS = 1000


def spread(rows: Tensor) -> float:
    """√d × mean over the dimensions of their standard deviation: 1 is isotropic, 0 means all rows are alike.

    Args:
        rows: Float (n, d), unit rows. The criterion of Chen & He, "Exploring Simple Siamese Representation Learning",
            CVPR 2021, figure 2, scaled by √d.

    >>> spread(torch.ones(5, 4) / 2)
    0.0
    """
    return math.sqrt(rows.shape[1]) * float(rows.float().std(dim=0, correction=0).mean())


def effective_rank(rows: Tensor) -> float:
    """The exponential of the entropy of the centred rows' normalised singular values: dimensions in use.

    Roy & Vetterli, "The effective rank", EUSIPCO 2007. The singular values are the roots of the smaller Gram matrix's
    eigenvalues, which takes a tenth of the time; those below 1e-3 of the largest are rounding errors and dropped.

    Args:
        rows: Float (n, d).

    Returns:
        A number from 1 to min(n - 1, d); 0 where all rows are equal.

    >>> round(effective_rank(torch.cat([torch.eye(4), -torch.eye(4)])), 3)
    4.0
    """
    centred = rows.float() - rows.float().mean(dim=0)
    gram = centred.T @ centred if rows.shape[0] > rows.shape[1] else centred @ centred.T
    eigenvalues = torch.linalg.eigvalsh(gram)
    largest = float(eigenvalues[-1])
    if largest <= 1e-10:
        return 0.0
    values = eigenvalues[eigenvalues > 1e-6 * largest].sqrt()
    share = values / values.sum()
    return float(torch.exp(-(share * share.log()).sum()))


def uniformity(rows: Tensor) -> float:
    """Logarithm of the mean over pairs i < j of exp(−2 ‖z_i − z_j‖²): about −4 is spread out, 0 collapsed.

    Wang & Isola, "Understanding Contrastive Representation Learning through Alignment and Uniformity", ICML 2020.

    Args:
        rows: Float (n, d), unit rows, n ≥ 2; the first 500 are taken, 125,000 pairs.
    """
    rows = rows[:500].float()
    n = len(rows)
    kernel = (rows @ rows.T).sub_(1.0).mul_(4.0).exp_()  # ‖a − b‖² = 2 − 2 cos
    total = (float(kernel.sum()) - float(kernel.diagonal().sum())) / (n * (n - 1))
    return math.log(max(total, 1e-38))


def alignment(rows: Tensor, partners: Tensor) -> float:
    """Mean ‖z_i − w_i‖² over matched rows: 0 is perfect, 2 is chance. Wang & Isola, ICML 2020.

    Args:
        rows: Float (n, d), unit rows.
        partners: Float (n, d), unit rows; row i matches row i.
    """
    return float((rows.float() - partners.float()).square().sum(dim=1).mean())


def modality_gap(image: Tensor, text: Tensor) -> float:
    """Distance of the two modalities' means, 0 to 2. Liang et al., "Mind the Gap", NeurIPS 2022.

    Args:
        image: Float (n, d), unit rows.
        text: Float (m, d), unit rows.
    """
    return float((image.float().mean(dim=0) - text.float().mean(dim=0)).norm())


@torch.no_grad()
def embedding_gauges(
    image: Tensor | None,
    text: Tensor | None,
    image_ids: Tensor | None = None,
    text_ids: Tensor | None = None,
) -> dict[str, float]:
    """All gauges under the names they are logged by, on the first 1,000 rows of each modality.

    Args:
        image: Embeddings (B_i, d) or None; scaled to length one here.
        text: Embeddings (B_t, d) or None.
        image_ids: Class ids, int64 (B_i,); without them there is no alignment.
        text_ids: Class ids, int64 (B_t,).

    Returns:
        ``health/image/spread``, ``health/image/effective_rank``, ``health/image/uniformity``, the same for text, the
        worse of the two under ``health/spread`` and so on, ``health/modality_gap`` and ``health/alignment`` (each
        picture with a text of its class).
    """
    units = {
        name: F.normalize(rows.detach()[:ROWS].float(), dim=1)
        for name, rows in (("image", image), ("text", text))
        if rows is not None and len(rows) > 1
    }
    found: dict[str, float] = {}
    for key, gauge, worst in (
        ("spread", spread, min),
        ("effective_rank", effective_rank, min),
        ("uniformity", uniformity, max),
    ):
        values = {name: gauge(rows) for name, rows in units.items()}
        found |= {f"health/{name}/{key}": value for name, value in values.items()}
        if values:
            found[f"health/{key}"] = worst(values.values())
    if len(units) < 2:
        return found
    found["health/modality_gap"] = modality_gap(units["image"], units["text"])
    if image_ids is not None and text_ids is not None:
        anchors, partners = row_partners(image_ids[:ROWS], text_ids[:ROWS], within=False)
        if len(anchors):
            found["health/alignment"] = alignment(units["image"][anchors], units["text"][partners])
    return found
