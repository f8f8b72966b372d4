"""Bodies of requests that are wrong in all sorts of ways: cells, keys, JSON, bytes and content types. Seeded."""

import json
import random
from collections.abc import Iterator
from typing import Any

JSON, CSV = "application/json", "text/csv"
KEYS = ("dataframe_split", "dataframe_records", "inputs", "instances")
NAMES = ("image", "text", "role", "label", "pair", "data", "columns", "index", "x", "messages", "prompt")
KINDS = (JSON, CSV, "application/vnd.apache.parquet", "image/png", "text/plain", f"{JSON}; charset=latin-1")
CELLS: tuple[Any, ...] = (
    *(
        None,
        True,
        -1,
        0,
        1.5,
        1e308,
        "",
        "x",
        "support",
        "query",
        "None",
        "nan",
        "\ud800",
        "a" * 300,
        [],
        {},
        [1],
        [[]],
    ),
    *({"b64": "QUJD"}, {"a": [1]}, "data:image/png;base64,QUJD", "http://x/y.png", "/etc/passwd", [None], ["support"]),
)


def malformed_bodies(good: list[tuple[Any, str]], count: int, seed: int = 0) -> Iterator[tuple[str | bytes, str]]:
    """Bodies with their content types.

    Args:
        good: Bodies (JSON-able, or CSV as text) with their content types, to be broken.
        count: How many.
        seed: Of the generator.
    """
    rng = random.Random(seed)
    ways = [_changed, _changed, _changed, _junk, _flipped, _flipped, _cut, _noise]
    for _ in range(count):
        yield rng.choice(ways)(rng, *rng.choice(good))


def _changed(rng: random.Random, body: Any, kind: str) -> tuple[str | bytes, str]:
    """Some cells, keys and rows are replaced or left out."""
    if isinstance(body, str):
        return _flipped(rng, body, kind)
    return json.dumps(_mutated(rng, body, rng.choice([0.02, 0.1, 0.3]))), kind


def _junk(rng: random.Random, body: Any, kind: str) -> tuple[str | bytes, str]:
    """The right key with anything under it."""
    params = {"params": _anything(rng)} if rng.random() < 0.3 else {}
    return json.dumps({rng.choice(KEYS): _anything(rng)} | params), JSON


def _flipped(rng: random.Random, body: Any, kind: str) -> tuple[str | bytes, str]:
    """Some bytes are others."""
    content = bytearray(_text(body).encode())
    for _ in range(rng.randrange(1, 8)):
        content[rng.randrange(len(content))] = rng.randrange(256)
    return bytes(content), kind


def _cut(rng: random.Random, body: Any, kind: str) -> tuple[str | bytes, str]:
    """The end is missing."""
    text = _text(body)
    return text[: rng.randrange(len(text))], kind


def _noise(rng: random.Random, body: Any, kind: str) -> tuple[str | bytes, str]:
    """Random bytes of any content type."""
    return rng.randbytes(rng.randrange(200)), rng.choice(KINDS)


def _text(body: Any) -> str:
    return body if isinstance(body, str) else json.dumps(body)


def _anything(rng: random.Random, depth: int = 0) -> Any:
    if depth > 3 or rng.random() < 0.6:
        return rng.choice(CELLS)
    children = [_anything(rng, depth + 1) for _ in range(rng.randrange(4))]
    return children if rng.random() < 0.5 else {rng.choice(NAMES): child for child in children}


def _mutated(rng: random.Random, value: Any, share: float) -> Any:
    if rng.random() < share:
        return _anything(rng)
    if isinstance(value, dict):
        kept = [(name, cell) for name, cell in value.items() if rng.random() > 0.02]
        return {name if rng.random() > 0.03 else rng.choice(NAMES): _mutated(rng, cell, share) for name, cell in kept}
    if isinstance(value, list):
        return [_mutated(rng, cell, share) for cell in value if rng.random() > 0.03]
    return value
