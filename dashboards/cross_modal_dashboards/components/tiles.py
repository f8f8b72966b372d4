"""A grid of pictures and texts that can be clicked: Streamlit's own pictures cannot.

Pictures come as data URIs, so that a hundred tiles are one message and no request; texts go through `textContent`, so
that nobody's label is ever markup. The grid is built anew only when its tiles changed.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import streamlit as st

CSS = """
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(8.5rem,1fr));gap:.6rem;padding:2px;
  font-family:var(--st-font)}
button{all:unset;box-sizing:border-box;cursor:pointer;border:2px solid var(--st-border-color);border-radius:.6rem;
  padding:.45rem;display:flex;flex-direction:column;gap:.3rem;background:var(--st-secondary-background-color);
  color:var(--st-text-color);overflow:hidden}
button:hover{border-color:var(--st-primary-color)}
button:focus-visible{outline:3px solid var(--st-primary-color);outline-offset:1px}
button[aria-pressed=true]{border-color:var(--st-primary-color)}
button.right{border-color:#0b8457}button.wrong{border-color:#c2410c}
.frame{height:6.5rem;display:flex;align-items:center;justify-content:center;border-radius:.35rem;overflow:hidden;
  background:var(--st-background-color)}
img{max-width:100%;max-height:100%;min-width:4rem;object-fit:contain;image-rendering:auto}
.words{padding:.3rem;font-size:.85rem;line-height:1.25;overflow-wrap:anywhere;max-height:6rem;overflow:hidden;
  text-align:center}
.title{font-weight:600;font-size:.82rem;line-height:1.25;overflow-wrap:anywhere;max-height:2.5em;overflow:hidden}
.line{font-size:.75rem;line-height:1.25;opacity:.8;overflow-wrap:anywhere;max-height:2.5em;overflow:hidden}
.score{font-variant-numeric:tabular-nums}
"""
JS = """
export default ({data, parentElement, setTriggerValue}) => {
  const grid = parentElement.querySelector('.grid')
  if (grid.version === data.version) return
  grid.version = data.version
  const line = (kind, text) => {
    const part = document.createElement('div'); part.className = kind; part.textContent = text; return part }
  grid.replaceChildren(...data.tiles.map(tile => {
    const button = document.createElement('button'), frame = line('frame', '')
    button.type = 'button'; button.className = tile.state
    button.setAttribute('aria-label', tile.alt)
    button.setAttribute('aria-pressed', tile.id === data.pressed)
    if (tile.picture) {
      const image = new Image(); image.alt = ''; image.src = tile.picture; frame.append(image)
    } else frame.append(line('words', tile.words))
    button.append(frame, line('title', tile.title))
    if (tile.picture && tile.words && tile.words !== tile.title) button.append(line('line', tile.words))
    if (tile.score) button.append(line('line score', tile.score))
    for (const text of tile.lines) button.append(line('line', text))
    button.onclick = () => setTriggerValue('clicked', tile.id)
    return button }))
}
"""


@dataclass(frozen=True)
class ClickTile:
    """One tile.

    Attributes:
        id: What a click gives.
        title: Its first line.
        words: Its text, in place of a picture or below it.
        score: What stands below.
        alt: What a screen reader says.
        picture: Small picture, PNG or WebP; None shows the words.
        lines: Further lines.
        state: "plain", "right" or "wrong": the colour of its edge.
    """

    id: str
    title: str
    words: str = ""
    score: str = ""
    alt: str = ""
    picture: bytes | None = None
    lines: tuple[str, ...] = ()
    state: str = "plain"


@cache
def _component() -> Callable[..., Any]:
    return st.components.v2.component("cross_modal_tiles", html='<div class="grid" role="group"></div>', css=CSS, js=JS)


def tiles(shown: Sequence[ClickTile], key: str, pressed: str | None = None) -> str | None:
    """Shows tiles.

    Args:
        shown: The tiles.
        key: The component's key on the page.
        pressed: The tile that is drawn as chosen.

    Returns:
        The id of the tile that was clicked just now, once; None where none was.
    """
    packed = [asdict(tile) | {"picture": data_uri(tile.picture)} for tile in shown]
    version = str(hash((pressed, tuple(shown))))
    result = _component()(
        key=key, data={"tiles": packed, "pressed": pressed, "version": version}, on_clicked_change=lambda: None
    )
    clicked = result["clicked"] if result is not None and "clicked" in result else None
    known = {tile.id for tile in shown}
    return clicked if clicked in known else None


def data_uri(picture: bytes | None) -> str | None:
    """A small picture as a data URI.

    >>> data_uri(b"RIFF....WEBP"), data_uri(None)
    ('data:image/webp;base64,UklGRi4uLi5XRUJQ', None)
    """
    if picture is None:
        return None
    kind = "webp" if picture[8:12] == b"WEBP" else "png"
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"
