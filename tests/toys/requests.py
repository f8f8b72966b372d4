"""Small requests: pictures as files, and a support set with queries that are among its pictures."""

import base64
import io
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image


def picture(seed: int, kind: str = "PNG", side: int = 16) -> bytes:
    """An encoded grey picture of noise; equal seeds give equal pictures."""
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def in_base64(cell: bytes) -> str:
    """What a picture is in JSON."""
    return base64.b64encode(cell).decode()


def few_shot_request(classes: int = 3) -> pd.DataFrame:
    """One support picture with a name for each class, and each of them again as a query. Missing cells are empty."""
    rows: list[dict[str, Any]] = [
        {"image": picture(seed), "text": f"sign {seed}", "role": "support", "label": f"class {seed}"}
        for seed in range(classes)
    ]
    rows += [{"image": picture(seed), "text": "", "role": "query", "label": ""} for seed in range(classes)]
    return pd.DataFrame(rows)
