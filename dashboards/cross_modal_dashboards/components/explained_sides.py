"""What made a match, drawn: pictures under their maps with numbered places, texts with a tint behind each word.

As with the tiles, pictures come as data URIs and every text goes through `textContent`: nobody's words are markup. A
picture keeps its proportions at any width; numbers are laid on it by shares of its sides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import streamlit as st

from cross_modal_dashboards.components.tiles import data_uri

CSS = """
.sides{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(17rem,100%),1fr));gap:.8rem;padding:2px;margin:0;
  font-family:var(--st-font);color:var(--st-text-color)}
figure{margin:0;border:1px solid var(--st-border-color);border-radius:.6rem;padding:.6rem;min-width:0;
  background:var(--st-secondary-background-color)}
figcaption{font-weight:600;font-size:.9rem;line-height:1.3;overflow-wrap:anywhere;margin-bottom:.45rem}
.frame{position:relative;width:fit-content;max-width:100%;margin:0 auto;line-height:0}
img{max-width:100%;max-height:22rem;width:auto;height:auto;border-radius:.35rem;display:block}
.frame.tiny img{width:12rem;max-width:100%;image-rendering:pixelated}
.mark{position:absolute;transform:translate(-50%,-50%);width:1.25rem;height:1.25rem;line-height:1.25rem;
  border-radius:50%;font-size:.72rem;font-weight:700;text-align:center;color:#fff;background:#0b5cad;
  box-shadow:0 0 0 2px #fff}
.words{display:flex;flex-wrap:wrap;gap:.5rem .35rem;align-items:flex-start;justify-content:center;
  padding:1rem .3rem;max-height:22rem;overflow:auto;background:var(--st-background-color);border-radius:.35rem}
.word{display:inline-flex;flex-direction:column;align-items:center;max-width:100%}
.letters{padding:.12rem .4rem;border-radius:.3rem;font-size:1.05rem;line-height:1.4;overflow-wrap:anywhere}
.note{font-size:.72rem;opacity:.85;font-variant-numeric:tabular-nums;line-height:1.3}
.note.number{background:#0b5cad;color:#fff;opacity:1;border-radius:.7rem;padding:0 .4rem;font-weight:700;margin-top:2px}
.line{font-size:.78rem;line-height:1.35;opacity:.9;overflow-wrap:anywhere;margin-top:.4rem}
"""
JS = """
export default ({data, parentElement}) => {
  const list = parentElement.querySelector('.sides')
  if (list.version === data.version) return
  list.version = data.version
  const part = (kind, text, name = 'div') => {
    const found = document.createElement(name); found.className = kind; found.textContent = text; return found }
  const tint = share => share >= 0 ? `rgba(224,130,20,${0.6 * share})` : `rgba(140,110,190,${-0.6 * share})`
  list.replaceChildren(...data.sides.map(side => {
    const figure = document.createElement('figure')
    figure.append(part('', side.title, 'figcaption'))
    if (side.picture) {
      const frame = part(side.tiny ? 'frame tiny' : 'frame', ''), image = new Image()
      image.alt = side.alt; image.src = side.picture; frame.append(image)
      for (const mark of side.marks) {
        const dot = part('mark', mark.number)
        dot.style.left = 100 * mark.x + '%'; dot.style.top = 100 * mark.y + '%'; frame.append(dot) }
      figure.append(frame)
    } else {
      const words = part('words', ''); words.setAttribute('role', 'group'); words.setAttribute('aria-label', side.alt)
      words.append(...side.words.map(word => {
        const whole = part('word', '', 'span'), letters = part('letters', word.text, 'span')
        letters.style.background = tint(word.share); whole.append(letters)
        if (word.note) whole.append(part('note', word.note, 'span'))
        if (word.number) whole.append(part('note number', word.number, 'span'))
        return whole }))
      figure.append(words) }
    figure.append(...side.lines.map(text => part('line', text)))
    return figure }))
}
"""


@dataclass(frozen=True)
class Mark:
    """A number on a picture.

    Attributes:
        x: Share of the width, from the left.
        y: Share of the height, from above.
        number: What stands there.
    """

    x: float
    y: float
    number: str


@dataclass(frozen=True)
class Word:
    """A word of a text.

    Attributes:
        text: Its letters.
        share: −1 to 1: how strong its tint is, orange above nought, purple below.
        note: What stands below it.
        number: Of the link that it is part of; empty where of none.
    """

    text: str
    share: float = 0.0
    note: str = ""
    number: str = ""


@dataclass(frozen=True)
class ExplainedSide:
    """One side.

    Attributes:
        title: The line above.
        alt: What a screen reader says of the picture or the words.
        picture: PNG or WebP; None shows the words.
        tiny: The picture is of few pixels: drawn larger, its pixels as they are.
        marks: Numbers on the picture.
        words: The text.
        lines: Lines below.
    """

    title: str
    alt: str
    picture: bytes | None = None
    tiny: bool = False
    marks: tuple[Mark, ...] = ()
    words: tuple[Word, ...] = ()
    lines: tuple[str, ...] = ()


@cache
def _component() -> Callable[..., Any]:
    return st.components.v2.component("cross_modal_explained", html='<div class="sides"></div>', css=CSS, js=JS)


def explained_sides(shown: Sequence[ExplainedSide], key: str) -> None:
    """Shows sides beside each other, below each other where there is no room.

    Args:
        shown: The sides.
        key: The component's key on the page.
    """
    packed = [asdict(side) | {"picture": data_uri(side.picture)} for side in shown]
    _component()(key=key, data={"sides": packed, "version": str(hash(tuple(shown)))})
