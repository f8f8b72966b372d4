"""Augmented views of support pictures: a model that saw ten versions of its one shot knows what does not matter.

Tip-Adapter averages ten views of each shot, Gaussian discriminant analysis takes each as a row. A view is one affine
map applied by one grid sample, as in training. Which map a picture gets is a function of (seed, view, content) alone:
another order of the pictures, another number of them, or more views change no view that was there before.

Photos get what the few-shot literature gives them, a random resized crop of 50–100 % of the area and a mirror image in
half of the views (Zhang et al., "Tip-Adapter", ECCV 2022). A character that is mirrored or cut is another character:
its views are the gentle affine maps that its twin was trained with.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from cross_modal.configuration import AugmentationConfig
from cross_modal.data.pictures import Pictures
from cross_modal.encoders.embedding import Progress, normalise_pixels
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError
from cross_modal.training.augmentation import affine_maps, augment_pixels
from cross_modal.training.counter_random import uniform

ViewKind = Literal["photo", "character"]
AREA = (0.5, 1.0)  # share of the picture that a crop keeps
RATIO = (3 / 4, 4 / 3)  # of a crop's width to its height
_CROP = 5  # stream of random numbers; training uses 1 to 4


def kind_of_views(augmentation: AugmentationConfig | None) -> ViewKind:
    """What kind of views suits pictures, by how their twin was trained.

    Args:
        augmentation: Of the twin's card; None where it has none.

    Returns:
        "character" where training moved the pictures but never mirrored them, else "photo".

    >>> kind_of_views(AugmentationConfig(flip=0.0)), kind_of_views(AugmentationConfig(flip=0.5)), kind_of_views(None)
    ('character', 'photo', 'photo')
    """
    if augmentation is None or augmentation.flip > 0:
        return "photo"
    moves = any((augmentation.rotation, augmentation.scale, augmentation.shear, augmentation.shift))
    return "character" if moves else "photo"


def view_maps(
    kind: ViewKind, views: int, seed: int, contents: np.ndarray, augmentation: AugmentationConfig | None = None
) -> Tensor:
    """The affine maps of the views of some pictures.

    Args:
        kind: "photo" (crops and mirror images) or "character" (the twin's own training maps).
        views: V.
        seed: Another seed gives other views.
        contents: (N,) integers, equal for equal pictures; see `content_numbers`.
        augmentation: The deviations of "character"; None takes the defaults. A "photo" whose twin never saw mirror
            images (flip 0) is cropped and not mirrored.

    Returns:
        (N, V, 2, 3) float32 maps from output to input coordinates in [−1, 1].

    Raises:
        CrossModalError: If `views` is below 1 or the kind is unknown.

    >>> maps = view_maps("photo", 10, seed=0, contents=np.array([7, 11], np.uint64))
    >>> tuple(maps.shape), bool((maps[1] == view_maps("photo", 10, 0, np.array([11], np.uint64))[0]).all())
    ((2, 10, 2, 3), True)
    """
    if views < 1:
        raise CrossModalError(f"views: expected at least 1 view of each support picture, found {views}")
    if kind not in ("photo", "character"):
        raise CrossModalError(f'kind of views: expected "photo" or "character", found {kind!r}')
    return torch.stack([_maps(kind, seed, view, contents, augmentation) for view in range(views)], 1)


def _maps(
    kind: ViewKind, seed: int, view: int, contents: np.ndarray, augmentation: AugmentationConfig | None
) -> Tensor:
    """(N, 2, 3): one view of every picture."""
    if kind == "photo":
        return _crops(seed, view, contents, mirror=augmentation is None or augmentation.flip > 0)
    maps = affine_maps(augmentation or AugmentationConfig(), seed, view, contents)
    return torch.eye(2, 3).expand(len(contents), 2, 3) if maps is None else maps


def _crops(seed: int, view: int, contents: np.ndarray, *, mirror: bool) -> Tensor:
    """Random resized crops as maps.

    A crop of area a and ratio r is √(a r) wide and √(a / r) high, as shares of the sides and never more than the whole;
    its middle is anywhere that keeps it inside. Scaled to the full output it is the map
    (x, y) → (w x + (1 − w) u, h y + (1 − h) v) with u and v uniform in [−1, 1].
    """
    draws = uniform(seed, view, contents, 5, stream=_CROP)
    area = AREA[0] + (AREA[1] - AREA[0]) * draws[:, 0]
    low, high = math.log(RATIO[0]), math.log(RATIO[1])
    ratio = np.exp(low + (high - low) * draws[:, 1])
    width, height = np.minimum(np.sqrt(area * ratio), 1), np.minimum(np.sqrt(area / ratio), 1)
    maps = np.zeros((len(contents), 2, 3), np.float32)
    maps[:, 0, 0] = width * np.where(mirror & (draws[:, 4] < 0.5), -1, 1)
    maps[:, 0, 2] = (1 - width) * (2 * draws[:, 2] - 1)
    maps[:, 1, 1] = height
    maps[:, 1, 2] = (1 - height) * (2 * draws[:, 3] - 1)
    return torch.from_numpy(maps)


def content_numbers(hashes: list[bytes]) -> np.ndarray:
    r"""Content hashes as the numbers that seed views.

    Args:
        hashes: N hashes of at least 8 bytes.

    Returns:
        (N,) uint64, each hash's first 8 bytes.

    >>> content_numbers([bytes(32), b"\x01" + bytes(31)]).tolist()
    [0, 1]
    """
    return np.frombuffer(b"".join(each[:8] for each in hashes), "<u8")


@torch.no_grad()
def embed_views(
    twin: TwinEncoder,
    pictures: Pictures,
    rows: np.ndarray,
    maps: Tensor,
    *,
    batch_size: int = 256,
    progress: Progress | None = None,
) -> np.ndarray:
    """Embeds the views of pictures.

    Args:
        twin: The twin; its mode is restored afterwards.
        pictures: The decoded pictures.
        rows: (N,) int64 rows of `pictures`.
        maps: (N, V, 2, 3) of `view_maps`.
        batch_size: Views a forward pass.
        progress: Called with the number of views just done.

    Returns:
        (N, V, dim) float32.

    Raises:
        CrossModalError: If the twin has no image trunk, or maps and rows differ in number.
    """
    trunk = twin.image
    if trunk is None:
        raise CrossModalError("views: expected a twin with an image trunk, found none")
    if len(maps) != len(rows):
        raise CrossModalError(f"views: expected maps for {len(rows)} pictures, found {len(maps)}")
    views = maps.shape[1]
    was_training, device = twin.training, next(twin.parameters()).device
    twin.eval()
    result = np.empty((len(rows), views, twin.dim), np.float32)
    step = max(batch_size // views, 1)  # whole pictures: each is gathered once
    for start in range(0, len(rows), step):
        pixels = pictures.pixels(rows[start : start + step]).to(device)
        normal = normalise_pixels(pixels, trunk.mean, trunk.std).repeat_interleave(views, 0)
        embeddings = twin.encode_image(augment_pixels(normal, maps[start : start + step].flatten(0, 1)))
        result[start : start + step] = embeddings.cpu().numpy().reshape(-1, views, twin.dim)
        if progress:
            progress(len(embeddings))
    twin.train(was_training)
    return result
