"""What a gallery answered, as one self-contained HTML file: mailed, kept with a run, opened without a network.

Every command of the gallery has its answer shown this way (``--html FILE``), and all fill in the same form: a page has
sections, a section has tiles, a tile has a picture or words, a score, and lines of facts. All text is escaped, pictures
are data URIs in their own proportions, no script runs, colours follow the reader's light or dark setting, and each
picture has a text for those who cannot see it.
"""

from __future__ import annotations

import base64
import html
import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cross_modal.errors import CrossModalError

State = Literal["plain", "right", "wrong", "query", "unknown"]
_SPOKEN: dict[State, str] = {
    "plain": "",
    "right": "of the same class",
    "wrong": "of another class",
    "query": "",
    "unknown": "unknown",
}
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_STYLE = """
:root{color-scheme:light dark;--ink:#1f2933;--soft:#52606d;--line:#d9dee4;--card:#fff;--page:#f5f7fa;--mat:#eef1f4;
--right:#047857;--wrong:#b91c1c;--query:#1d4ed8;--unknown:#b45309}
@media(prefers-color-scheme:dark){:root{--ink:#e4e7eb;--soft:#9fb0c0;--line:#3e4c59;--card:#1b242d;--page:#11171d;
--mat:#2a3641;--right:#34d399;--wrong:#f87171;--query:#7aa7ff;--unknown:#fbbf24}}
*{box-sizing:border-box}
body{font:15px/1.45 system-ui,sans-serif;color:var(--ink);background:var(--page);margin:0 auto;padding:24px;
max-width:1200px}
h1{font-size:22px;line-height:1.25;margin:0 0 4px;overflow-wrap:anywhere}
h2{font-size:16px;margin:0;overflow-wrap:anywhere}
section{margin:28px 0 0}
.note{color:var(--soft);margin:4px 0 0;max-width:80ch;overflow-wrap:anywhere}
.badge{display:inline-block;margin:6px 0 0;padding:1px 10px;border:1px solid var(--line);border-radius:99px;
color:var(--soft);font-size:13px;font-variant-numeric:tabular-nums}
.tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(136px,1fr));gap:10px;margin:12px 0 0;padding:0;
list-style:none}
.wide{grid-template-columns:repeat(auto-fill,minmax(min(100%,420px),1fr))}
.tile{background:var(--card);border:1px solid var(--line);border-top:4px solid var(--line);border-radius:8px;
overflow:hidden;display:flex;flex-direction:column}
.right{border-top-color:var(--right)}.wrong{border-top-color:var(--wrong)}.query{border-top-color:var(--query)}
.unknown{border-top-color:var(--unknown)}
.picture{height:128px;background:var(--mat);display:flex;align-items:center;justify-content:center;padding:8px}
.picture img{width:100%;height:100%;object-fit:contain}
.wide .picture{height:auto}.wide .picture img{height:auto}
.words{overflow:hidden;font-size:14px;text-align:center;overflow-wrap:anywhere;display:-webkit-box;
-webkit-line-clamp:5;-webkit-box-orient:vertical}
.facts{padding:8px 10px 10px;font-size:13px}
.facts p{margin:0;overflow-wrap:anywhere}
.title{font-weight:600;display:flex;flex-wrap:wrap;gap:0 8px;justify-content:space-between}
.score{font-variant-numeric:tabular-nums;font-weight:600;white-space:nowrap}
.line{color:var(--soft)}
.sign{font-weight:600}.right .sign{color:var(--right)}.wrong .sign{color:var(--wrong)}
.query .sign{color:var(--query)}.unknown .sign{color:var(--unknown)}
.asked{margin-bottom:14px;padding-bottom:14px;border-bottom:1px dashed var(--line)}
@media print{body{max-width:none}.tile{break-inside:avoid}}
"""


@dataclass(frozen=True)
class Tile:
    """One item on the page.

    Attributes:
        title: What it is called, e.g. its label.
        picture: Its picture as PNG, JPEG, WebP or GIF; None shows `words` in its place.
        words: Its text.
        score: E.g. "0.913".
        lines: Further facts, a line each.
        alt: What a reader who cannot see the picture is told; empty takes title and words.
        state: What the colour of its edge says.
        sign: What the state says in words, beside the colour ("query", "not", "unknown").
    """

    title: str = ""
    picture: bytes | None = None
    words: str = ""
    score: str = ""
    lines: Sequence[str] = ()
    alt: str = ""
    state: State = "plain"
    sign: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the page: a heading, what was asked and what was found.

    Attributes:
        heading: The heading.
        tiles: What was found, best first.
        asked: What was asked; shown above in the same form.
        badge: How the answer came about, e.g. "exact, 30,000 references, 3.1 ms".
        notes: Sentences under the heading.
        empty: What stands in place of tiles where there are none.
        wide: Large pictures (maps, pairs side by side) in place of small ones.
    """

    heading: str
    tiles: Sequence[Tile] = ()
    asked: Sequence[Tile] = ()
    badge: str = ""
    notes: Sequence[str] = ()
    empty: str = "nothing found"
    wide: bool = False


def gallery_page(title: str, sections: Sequence[Section], notes: Sequence[str] = ()) -> str:
    """Draws the page.

    Args:
        title: The page's title.
        sections: Its parts, in order.
        notes: Sentences under the title.

    Returns:
        HTML, complete in itself.

    >>> "<script>" in gallery_page("<script>", [Section("a & b", [Tile("x")])])
    False
    """
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        f"<title>{_escaped(title)}</title><style>{_STYLE}</style></head><body><main>",
        f"<h1>{_escaped(title)}</h1>",
        *_notes(notes),
    ]
    for section in sections:
        parts += _section(section)
    return "\n".join([*parts, "</main></body></html>"]) + "\n"


def write_page(path: Path, page: str) -> None:
    """Writes a page whole or not at all: a reader never meets half of it.

    Raises:
        CrossModalError: The file cannot be written.
    """
    aside: str | None = None
    try:
        handle, aside = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8", errors="xmlcharrefreplace") as file:
            file.write(page)
        os.chmod(aside, 0o644)
        os.replace(aside, path)
    except OSError as error:
        raise CrossModalError(f"--html {path}: the page could not be written ({error.strerror})") from None
    finally:
        if aside is not None:
            Path(aside).unlink(missing_ok=True)


def media_type(picture: bytes) -> str | None:
    """What a picture's first bytes say it is; None where it is none that a browser shows without running anything.

    >>> media_type(b"GIF89a..."), media_type(b"<svg onload=...>")
    ('image/gif', None)
    """
    if picture[:4] == b"RIFF" and picture[8:12] == b"WEBP":
        return "image/webp"
    for start, kind in ((b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpeg"), (b"GIF8", "gif")):
        if picture.startswith(start):
            return f"image/{kind}"
    return None


def _section(section: Section) -> Iterable[str]:
    yield f"<section><h2>{_escaped(section.heading)}</h2>"
    if section.badge:
        yield f'<span class="badge">{_escaped(section.badge)}</span>'
    yield from _notes(section.notes)
    shape = "tiles wide" if section.wide else "tiles"
    if section.asked:
        yield f'<ul class="{shape} asked" aria-label="asked">{"".join(map(_tile, section.asked))}</ul>'
    if section.tiles:
        yield f'<ol class="{shape}" aria-label="found">{"".join(map(_tile, section.tiles))}</ol>'
    else:
        yield f'<p class="note">{_escaped(section.empty)}</p>'
    yield "</section>"


def _tile(tile: Tile) -> str:
    kind = None if tile.picture is None else media_type(tile.picture)
    if tile.picture is not None and kind is not None:
        alt = tile.alt or " · ".join(filter(None, ["picture", tile.title, tile.words, _SPOKEN[tile.state]]))
        data = base64.b64encode(tile.picture).decode()
        shown = f'<img alt="{_escaped(alt)}" src="data:{kind};base64,{data}">'
    else:
        shown = f'<span class="words">{_escaped(tile.words or tile.title or "no picture")}</span>'
    lines = [tile.words, *tile.lines] if kind is not None and tile.words else [*tile.lines]
    score = f'<span class="score">{_escaped(tile.score)}</span>' if tile.score else ""
    facts = [f'<p class="sign">{_escaped(tile.sign)}</p>'] if tile.sign else []
    facts += [f'<p class="title"><span>{_escaped(tile.title)}</span>{score}</p>'] if tile.title or score else []
    facts += [f'<p class="line">{_escaped(line)}</p>' for line in lines]
    below = f'<div class="facts">{"".join(facts)}</div>' if facts else ""
    return f'<li class="tile {tile.state}"><div class="picture">{shown}</div>{below}</li>'


def _notes(notes: Sequence[str]) -> list[str]:
    return [f'<p class="note">{_escaped(note)}</p>' for note in notes]


def _escaped(text: str) -> str:
    """Text for HTML; what no page may hold (control characters, halves of surrogate pairs) becomes U+FFFD."""
    return html.escape("".join(each if _printable(each) else "\N{REPLACEMENT CHARACTER}" for each in str(text)))


def _printable(letter: str) -> bool:
    return letter in "\t\n" or not (letter < " " or "\x7f" <= letter < "\xa0" or "\ud800" <= letter <= "\udfff")
