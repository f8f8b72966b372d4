"""The page of matches: queries and what they found, as one self-contained HTML file that MLflow shows in place."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from cross_modal.data.decode import BadImage, decode
from cross_modal.data.items import Items

SIDE = 72  # pixels of a thumbnail
_STYLE = """
:root{color-scheme:light dark;--ink:#1f2933;--soft:#616e7c;--line:#e4e7eb;--card:#fff;--page:#f5f7fa}
@media(prefers-color-scheme:dark){:root{--ink:#e4e7eb;--soft:#9aa5b1;--line:#3e4c59;--card:#1f2933;--page:#12181f}}
body{font:14px/1.45 system-ui,sans-serif;color:var(--ink);background:var(--page);margin:24px;max-width:1100px}
h1{font-size:20px;margin:0 0 4px}h2{font-size:15px;margin:28px 0 8px}p{color:var(--soft);margin:0 0 12px}
.row{display:flex;gap:10px;align-items:stretch;background:var(--card);border:1px solid var(--line);border-radius:10px;
padding:10px;margin:8px 0}.cell{width:132px;text-align:center;font-size:11px;overflow-wrap:anywhere}
.query{border-right:1px solid var(--line);padding-right:10px;font-weight:600}
.cell img{width:72px;height:72px;image-rendering:auto;border-radius:6px;border:3px solid var(--line);background:#fff}
.right img,.right .words{border-color:#059669}.wrong img,.wrong .words{border-color:#dc2626}
.words{display:flex;align-items:center;justify-content:center;min-height:66px;border:3px solid var(--line);
border-radius:6px;padding:2px 4px}.score{color:var(--soft);font-variant-numeric:tabular-nums}
"""


@dataclass(frozen=True)
class Match:
    """One query and what it found.

    Attributes:
        task: E.g. "text → picture".
        query: Row of the query in the split's items.
        found: (K,) rows of the nearest items, nearest first.
        scores: (K,) their scores.
        right: (K,) whether they are of the query's class.
    """

    task: str
    query: int
    found: np.ndarray
    scores: np.ndarray
    right: np.ndarray


def thumbnail(items: Items, row: int, side: int = SIDE) -> np.ndarray | None:
    """(side, side, 3) uint8 of an item's picture; None where it has none or it cannot be decoded."""
    if items.images[row] is None:
        return None
    try:
        return decode(items.images[row], channels=3, size=side, resize="pad")
    except BadImage:
        return None


def caption(items: Items, row: int) -> str:
    """What to call an item: its label and its text, where it has them."""
    label = None if items.labels is None else str(items.labels[row])
    text = items.texts[row]
    if label is None or text is None or text == label:
        return str(text if text is not None else label if label is not None else items.where(row))
    return f"{label} · {text}"


def match_page(items: Items, sections: Sequence[list[Match]], title: str) -> str:
    """Draws the page.

    Args:
        items: The items of the split.
        sections: The matches of each task.
        title: The page's title.

    Returns:
        HTML; all text of the data is escaped.
    """
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(title)}</title><style>{_STYLE}</style>",
        f"<h1>{html.escape(title)}</h1>",
        "<p>Queries on the left, their nearest items with scores on the right; green is of the query's class, red is "
        "not. Where there are enough, half of each list are queries whose nearest item is wrong.</p>",
    ]
    for matches in filter(None, sections):
        parts.append(f"<h2>{html.escape(matches[0].task)}</h2>")
        parts += [_row(items, match) for match in matches]
    return "\n".join(parts) + "\n"


def _row(items: Items, match: Match) -> str:
    asks, _, finds = match.task.partition(" → ")
    cells = [_cell(items, match.query, asks, "query", "")]
    for row, score, right in zip(match.found, match.scores, match.right, strict=True):
        cells.append(_cell(items, int(row), finds, "right" if right else "wrong", f"{score:.3f}"))
    return f"<div class=row>{''.join(cells)}</div>"


def _cell(items: Items, row: int, kind: str, state: str, score: str) -> str:
    words = html.escape(caption(items, row)[:120])
    picture = thumbnail(items, row) if kind == "picture" else None
    if picture is None:
        inside = f"<div class=words>{words}</div>"
    else:
        inside = f'<img alt="" src="data:image/png;base64,{_png(picture)}"><div>{words}</div>'
    return f'<div class="cell {state}">{inside}<div class=score>{score}</div></div>'


def _png(pixels: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()
