"""The two items of the Pair page: what the address, a text field or an upload says, as things that can be compared.

No Streamlit here. A gallery's item is compared by the embedding that the gallery keeps, so that its score is the one
that Matches shows; what is drawn over is its picture file, else the small picture that the gallery keeps.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlencode

import numpy as np

from cross_modal.errors import CrossModalError
from cross_modal.explanation.side import Side

if TYPE_CHECKING:
    import pyarrow as pa

    from cross_modal.gallery.gallery import Gallery

LISTED = 300  # items that a list offers at once: a browser takes long over thousands
LONGEST_TEXT = 2000  # letters of a typed text
Source = Literal["gallery", "text", "picture"]
SOURCES: Final[tuple[Source, ...]] = ("gallery", "text", "picture")


@dataclass(frozen=True)
class PairItem:
    """One of the two.

    Attributes:
        name: What the page calls it.
        side: Its picture or text; None where the gallery keeps nothing that can be looked at.
        key: Says whether two are the same thing: what was found out about it is kept under it.
        modality: "image" or "text": what is compared.
        id: Its id in the gallery, where it is of one.
        label: Its class, where it has one.
        vector: (dim,) float32, the embedding that the gallery keeps; None where it is to be embedded.
        small: Its picture is the small one that the gallery keeps: the file is not at hand.
    """

    name: str
    side: Side | None = field(repr=False)
    key: str
    modality: Literal["image", "text"]
    id: str | None = None
    label: str | None = None
    vector: np.ndarray | None = field(default=None, repr=False, compare=False)
    small: bool = False


def typed(text: str) -> PairItem:
    """A text that somebody typed.

    Raises:
        CrossModalError: It is empty, or longer than 2,000 letters.

    >>> typed("  a red cat ").name
    'a red cat'
    """
    words = text.strip()
    if not words or len(words) > LONGEST_TEXT:
        raise CrossModalError(f"text: expected 1 to {LONGEST_TEXT:,} letters, found {len(words):,}")
    return PairItem(words, Side(text=words), f"text:{_digest(words.encode())}", "text")


def uploaded(picture: bytes, name: str = "uploaded picture") -> PairItem:
    """A picture that somebody uploaded; verified already."""
    return PairItem(name, Side(image=picture), f"picture:{_digest(picture)}", "image")


def gallery_item(gallery: Gallery, identity: str) -> PairItem:
    """An item of the gallery.

    Args:
        gallery: The gallery.
        identity: Its id.

    Raises:
        CrossModalError: The gallery does not hold it.
    """
    row = gallery.row([identity], ["kind", "label", "text", "image", "content"]).to_pylist()[0]
    matrix = gallery.matrix()
    vector = matrix.vectors[int(matrix.rows_of(np.array([identity], object))[0])]
    name = str(row["text"] or row["label"] or identity)
    key = f"id:{identity}:{row['content']}:{gallery.location}:{gallery.version}"
    if row["kind"] == "text":
        side = Side(text=row["text"]) if row["text"] else None
        return PairItem(name, side, key, "text", identity, row["label"], vector)
    path = row["image"]
    if path and Path(path).is_file():
        return PairItem(name, Side(image=path), key, "image", identity, row["label"], vector)
    (thumbnail,) = gallery.thumbnails([identity])
    side = None if thumbnail is None else Side(image=thumbnail)
    return PairItem(name, side, key, "image", identity, row["label"], vector, small=True)


@dataclass(frozen=True)
class Offer:
    """What a list of the gallery's items offers.

    Attributes:
        titles: Id → what stands in the list, in its order.
        found: How many items fit what was typed; the list has the first of them.
    """

    titles: dict[str, str]
    found: int


def offered(gallery: Gallery, words: str = "", keep: str | None = None, first: tuple[str, ...] = ()) -> Offer:
    """Items to choose from.

    Args:
        gallery: The gallery.
        words: Only items whose text, label or id has all of these words; upper and lower case count alike.
        keep: An id that is offered in any case, if the gallery holds it.
        first: Ids that come first, where they fit.

    Returns:
        At most 300 of them, and `keep`.
    """
    matrix = gallery.matrix()
    texts, labels, kinds = (matrix.column(name) for name in ("text", "label", "kind"))
    fitting = _fitting(matrix.facts, words)
    known = matrix.rows_of(np.array([*first, keep], object))
    rows = [row for row in known[:-1].tolist() if row >= 0 and fitting[row]]
    rows += np.flatnonzero(fitting)[: LISTED + len(rows)].tolist()
    rows = list(dict.fromkeys(rows))[:LISTED]
    if known[-1] >= 0 and known[-1] not in rows:
        rows.insert(0, int(known[-1]))
    return Offer(
        {str(matrix.ids[row]): _title(matrix.ids[row], texts[row], labels[row], kinds[row]) for row in rows},
        int(fitting.sum()),
    )


def closest(gallery: Gallery, item: PairItem, vector: np.ndarray, count: int = 20) -> tuple[str, ...]:
    """Ids of the gallery's items nearest to one, best first, without itself.

    Args:
        gallery: The gallery.
        item: The item.
        vector: (dim,) its embedding.
        count: How many.
    """
    if not len(gallery):
        return ()
    ids = gallery.search(vector, k=count + 1).ids[0].tolist()
    return tuple(name for name in ids if name is not None and name != item.id)[:count]


def pair_link(
    run_id: str,
    a: str | None = None,
    b: str | None = None,
    *,
    text_a: str | None = None,
    where: str = "pair",
    gallery: str | None = None,
) -> str:
    """The address of a pair, relative to the explorer's own.

    Args:
        run_id: The run.
        a: Id of the one item.
        b: Id of the other.
        text_a: A text in place of the one item.
        where: The page's path.
        gallery: The name of the gallery that the items are of, where it is not the run's own.

    >>> pair_link("1f", "picture:1", "text:a & b")
    'pair?run=1f&a=picture%3A1&b=text%3Aa+%26+b'
    """
    other = {} if gallery is None else {"gallery": gallery}
    return f"{where}?{urlencode(pair_state(run_id, a, b, text_a=text_a) | other)}"


def matches_link(run_id: str, item: str, gallery: str | None = None) -> str:
    """The address of what is nearest to an item of a gallery.

    Args:
        run_id: The run.
        item: The item's id.
        gallery: The name of its gallery, where it is not the run's own.

    >>> matches_link("1f", "picture:1", "all splits")
    'matches?run=1f&id=picture%3A1&gallery=all+splits'
    """
    other = {} if gallery is None else {"gallery": gallery}
    return f"matches?{urlencode({'run': run_id, 'id': item} | other)}"


def pair_state(run_id: str, a: str | None = None, b: str | None = None, *, text_a: str | None = None) -> dict[str, str]:
    """What `pair_link` says, as query parameters."""
    said = {"run": run_id, "from_a": None if text_a is None else "text", "text_a": text_a, "a": a, "b": b}
    return {name: value for name, value in said.items() if value is not None}


def _fitting(facts: pa.Table, words: str) -> np.ndarray:
    """(N,) bool: rows whose text, label or id has each of the words."""
    import pyarrow.compute as pc

    fitting = np.ones(len(facts), bool)
    for word in words.split():
        has = np.zeros(len(facts), bool)
        for name in ("id", "text", "label"):
            found = pc.match_substring(facts[name], word, ignore_case=True)
            has |= pc.fill_null(found, False).to_numpy()
        fitting &= has
    return fitting


def _title(identity: str, text: str | None, label: str | None, kind: str) -> str:
    """One line of the list: what it is, and which one; the id keeps apart what is called the same.

    >>> _title("picture:00af31", "leftwards arrow", "U+2190", "image")
    'leftwards arrow · U+2190 · picture · picture:00af31'
    """
    named = [str(each) for each in dict.fromkeys([text, label]) if each]
    return " · ".join([*named, "picture" if kind == "image" else "text", identity])


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
