"""The two sides of a pair as they are drawn: plain, under a map, or with the numbers of linked parts. No Streamlit."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from cross_modal.data.decode import Resize, decode
from cross_modal.explanation.match import MatchExplanation, SideExplanation
from cross_modal.explanation.picture import map_picture, placement
from cross_modal_dashboards.components.explained_sides import ExplainedSide, Mark, Word
from cross_modal_dashboards.pair_items import PairItem
from cross_modal_dashboards.pair_view import MapName, part_name, values_of

if TYPE_CHECKING:
    from cross_modal.encoders.twin import TwinEncoder

LARGEST = 640  # pixels of a picture's longer side
TINY = 160  # below this a picture is drawn larger than it is


def plain_side(name: str, item: PairItem) -> ExplainedSide:
    """An item as it is.

    Args:
        name: "A" or "B".
        item: The item.

    Raises:
        CrossModalError: Its picture cannot be read.
    """
    lines = [f"class {item.label}"] if item.label and item.label != item.name else []
    lines += [f"id {item.id}"] if item.id else []
    lines += ["the small picture that the gallery keeps; the file is not at hand"] if item.small and item.side else []
    title, alt = f"{name}: {item.name}", f"{name}: {item.name}"
    if item.side is None or item.modality == "text":
        missing = "" if item.side is not None else "nothing to look at: neither a file nor a small picture"
        shown = (Word(missing or item.name),)
        return ExplainedSide(name if not missing else title, alt, words=shown, lines=tuple(lines))
    picture, tiny = _small(item)
    return ExplainedSide(title, alt, picture, tiny, lines=tuple(lines))


def mapped_side(name: str, item: PairItem, side: SideExplanation, which: MapName, twin: TwinEncoder) -> ExplainedSide:
    """An item under a map.

    Args:
        name: "A" or "B".
        item: The item.
        side: What was found out about it.
        which: Which map.
        twin: Says how pictures are cut to squares.

    Returns:
        The picture tinted, the text with a tint behind each word, or a line that says why there is none.
    """
    assert item.side is not None
    values = values_of(side, which)
    alt = f"{name}, {item.name}: {which}"
    if side.modality == "text":
        assert values is not None
        words = [word for word, _, _ in side.words]
        largest = float(np.abs(values).max(initial=0)) or 1.0
        tinted = tuple(
            Word(word, value / largest, f"{value:.2f}" if which == "weights" else f"{value:+.3f}")
            for word, value in zip(words, values.tolist(), strict=True)
        )
        lines = ("A single word: there is nothing to compare it with.",) if len(words) < 2 else ()
        spoken = ", ".join(f"{word.text} {word.note}" for word in tinted)
        return ExplainedSide(name, f"{alt}: {spoken}", words=tinted, lines=lines)
    assert item.side.image is not None
    if values is None:
        picture, tiny = _small(item)
        return ExplainedSide(name, alt, picture, tiny, lines=(f"No such map: {side.note or 'the model gives none'}.",))
    row, column = np.unravel_index(int(values.argmax()), values.shape)
    height, width = values.shape
    strongest = f"strongest at {(column + 0.5) / width:.0%} from the left, {(row + 0.5) / height:.0%} from above"
    return ExplainedSide(name, f"{alt}, {strongest}", map_picture(item.side.image, values, _resize(twin)))


def linked_sides(a: PairItem, b: PairItem, match: MatchExplanation, twin: TwinEncoder) -> list[ExplainedSide]:
    """Both items with the numbers of the parts that choose each other."""
    ends = [[link.a for link in match.links], [link.b for link in match.links]]
    both = zip(("A", "B"), (a, b), (match.a, match.b), ends, strict=True)
    return [_linked(name, item, side, parts, twin) for name, item, side, parts in both]


def _linked(name: str, item: PairItem, side: SideExplanation, parts: list[int], twin: TwinEncoder) -> ExplainedSide:
    named = ", ".join(f"{number}: {part_name(side, part)}" for number, part in enumerate(parts, 1))
    alt = f"{name}, {item.name}; linked parts {named}"
    assert item.side is not None
    if side.spans is not None:
        numbers = {int(side.shown[part]): str(number) for number, part in enumerate(parts, 1)}
        words = tuple(Word(side.spans.pieces[token], number=numbers.get(token, "")) for token in side.shown.tolist())
        return ExplainedSide(name, alt, words=words)
    picture, tiny = _small(item)
    if side.attention is None:
        return ExplainedSide(name, alt, picture, tiny, lines=("Its parts are no places of the picture.",))
    height, width = decode(item.side.image, channels=3).shape[:2]
    part, grid = placement(width, height, _resize(twin)), side.attention.mean.shape
    centres = [part.centre(cell, (grid[0], grid[1])) for cell in parts]
    marks = tuple(
        Mark(min(max(x / width, 0), 1), min(max(y / height, 0), 1), str(number))
        for number, (x, y) in enumerate(centres, 1)
    )
    return ExplainedSide(name, alt, picture, tiny, marks)


def _small(item: PairItem) -> tuple[bytes, bool]:
    """The picture as PNG, at most 640 pixels a side, and whether it is tiny."""
    assert item.side is not None
    picture = Image.fromarray(decode(item.side.image, channels=3))
    picture.thumbnail((LARGEST, LARGEST))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue(), max(picture.size) < TINY


def _resize(twin: TwinEncoder) -> Resize:
    return "squash" if twin.image is None else twin.image.resize
