"""Pairs side by side: two pictures (or texts) on a card, with what was found and whether it is right.

As with the tiles, pictures come as data URIs and every text goes through `textContent`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import streamlit as st

from cross_modal_dashboards.components.tiles import data_uri

CSS = """
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(15rem,1fr));gap:.6rem;padding:2px;
  font-family:var(--st-font);color:var(--st-text-color);list-style:none;margin:0}
.card{border:2px solid var(--st-border-color);border-radius:.6rem;padding:.5rem;
  background:var(--st-secondary-background-color);overflow:hidden}
.card.right{border-color:#0b8457}.card.wrong{border-color:#c2410c}
.two{display:grid;grid-template-columns:1fr 1fr;gap:.4rem}
.frame{height:6.5rem;display:flex;align-items:center;justify-content:center;border-radius:.35rem;overflow:hidden;
  background:var(--st-background-color)}
img{max-width:100%;max-height:100%;min-width:4rem;object-fit:contain}
.words{padding:.3rem;font-size:.85rem;line-height:1.25;overflow-wrap:anywhere;max-height:6rem;overflow:hidden;
  text-align:center}
.line{font-size:.75rem;line-height:1.25;opacity:.85;overflow-wrap:anywhere;max-height:2.5em;overflow:hidden}
a{font-size:.78rem;color:var(--st-link-color)}
.title{font-weight:600;font-size:.82rem;margin-top:.35rem;font-variant-numeric:tabular-nums}
"""
JS = """
export default ({data, parentElement}) => {
  const list = parentElement.querySelector('.cards')
  if (list.version === data.version) return
  list.version = data.version
  const part = (kind, text, name = 'div') => {
    const found = document.createElement(name); found.className = kind; found.textContent = text; return found }
  const side = (words, picture) => {
    const whole = part('side', ''), frame = part('frame', '')
    if (picture) {
      const image = new Image(); image.alt = words; image.src = picture; frame.append(image)
    } else frame.append(part('words', words))
    whole.append(frame)
    if (picture) whole.append(part('line', words))
    return whole }
  list.replaceChildren(...data.cards.map(card => {
    const item = part('card ' + card.state, '', 'li'), two = part('two', '')
    item.setAttribute('aria-label', card.alt)
    two.append(side(card.words[0], card.pictures[0]), side(card.words[1], card.pictures[1]))
    item.append(two, part('title', card.title), ...card.lines.map(text => part('line', text)))
    if (card.link) {
      const link = part('', 'What made the match', 'a'); link.href = card.link; item.append(link) }
    for (const [words, address] of card.more) {
      const link = part('', words, 'a'); link.href = address; item.append(' · ', link) }
    return item }))
}
"""


@dataclass(frozen=True)
class PairCard:
    """One pair.

    Attributes:
        words: What each side is called, or its text.
        pictures: Small pictures, PNG or WebP; None shows the words in their place.
        title: The line below.
        lines: Further lines.
        state: "plain", "right" or "wrong": the colour of its edge; the lines say it, too.
        alt: What a screen reader says.
        link: Where more is said of it, an address of the explorer's own (`pair_link`); empty for none.
        more: Further links after it: words and an address of the explorer's own.
    """

    words: tuple[str, str]
    pictures: tuple[bytes | None, bytes | None]
    title: str
    lines: tuple[str, ...] = ()
    state: str = "plain"
    alt: str = ""
    link: str = ""
    more: tuple[tuple[str, str], ...] = ()


@cache
def _component() -> Callable[..., Any]:
    return st.components.v2.component("cross_modal_pairs", html='<ul class="cards"></ul>', css=CSS, js=JS)


def pair_cards(shown: Sequence[PairCard], key: str) -> None:
    """Shows pairs.

    Args:
        shown: The pairs.
        key: The component's key on the page.
    """
    packed = [asdict(card) | {"pictures": [data_uri(each) for each in card.pictures]} for card in shown]
    _component()(key=key, data={"cards": packed, "version": str(hash(tuple(shown)))})
