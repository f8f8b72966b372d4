"""Saved twins that answer "same or not", untrained: what they say does not matter, how they say it does."""

from pathlib import Path

import numpy as np
from PIL import Image
from toys.calibrations import calibrated
from toys.tiny_twin import tiny_twin

from cross_modal.encoders.saved_twin import save_twin
from cross_modal.objectives.pair_head import DifferenceHead
from cross_modal.objectives.pair_head_file import save_pair_head

THRESHOLDS = {"picture_picture": 0.9, "picture_text": 0.0, "text_text": 0.5}


def write_model(folder: Path, *, thresholds: dict[str, float] | None = None, head: bool = False) -> Path:
    """Writes the tiny twin with a calibration of these thresholds; an empty mapping leaves it out."""
    twin = tiny_twin()
    save_twin(twin, folder)
    learned = THRESHOLDS if thresholds is None else thresholds
    if learned:
        calibrated(learned).save(folder)
    if head:
        save_pair_head(DifferenceHead(twin.dim), folder)
    return folder


def write_picture(path: Path, seed: int = 0) -> Path:
    """A 16×16 picture of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (16, 16), np.uint8)).save(path)
    return path
