"""What the Pair page says of two items: the answer, what made the match, and whether that holds. No Streamlit here.

The answer is `cross-modal verify`'s. What made the match is the library's `explain_match`, with the contributions
first: measured by deletion, the weights and effects of the pooling are often no better than chance. So each map is
shown with its own deletion test, and one that fails is called what it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pandas as pd

from cross_modal.configuration import DataConfig
from cross_modal.data.items import Items
from cross_modal.errors import CrossModalError
from cross_modal.explanation.deletion import Deletion
from cross_modal.explanation.faithfulness import check_match
from cross_modal.explanation.match import MatchExplanation, SideExplanation, explain_match
from cross_modal.verification.comparison import PICTURE, TEXT, comparison, in_words
from cross_modal.verification.pair_embedding import embed_pair_items
from cross_modal_dashboards.pair_items import PairItem
from cross_modal_mlflow.verification_answer import Answer, Verifier

if TYPE_CHECKING:
    from cross_modal.encoders.twin import TwinEncoder

PLAIN = DataConfig(workers=0, feature_store=False)
AGREE = 2e-3  # scores of the same two items by the gallery and by what is drawn over: less is rounding
MapName = Literal["contributions", "weights", "effects"]
MAPS: Final[dict[str, MapName]] = {
    "contributions": "contributions",
    "attention": "weights",
    "left out": "effects",
}
MEANING: Final[dict[MapName, str]] = {
    "contributions": "What each part adds to the score, through the whole model: orange raises it, purple lowers it.",
    "weights": "Where the model's pooling reads (its attention). It says what is read, not what decides.",
    "effects": "By how much the score falls when the pooling is denied a part: orange raises the score, purple lowers "
    "it. What the model mixed between parts before is not undone.",
}
Verdict = Literal["holds", "fails", "none"]


def embedding_of(twin: TwinEncoder, item: PairItem) -> np.ndarray:
    """(dim,) float32 of an item: the gallery's own where it is of the gallery.

    Raises:
        CrossModalError: The twin has no trunk for it.
    """
    if item.vector is not None:
        return item.vector
    trunk, wanted = (twin.image, "pictures") if item.modality == "image" else (twin.text, "texts")
    if trunk is None:
        raise CrossModalError(f"{item.name[:60]}: expected a twin that reads {wanted}, found one that does not")
    assert item.side is not None
    given = {"images": [item.side.image]} if item.modality == "image" else {"texts": [item.side.text]}
    return embed_pair_items(twin, Items.of(**given, source=item.name[:60]), PLAIN)[0]


def compare(verifier: Verifier, a: PairItem, b: PairItem) -> Answer:
    """Whether two items are the same, as `cross-modal verify` answers.

    Args:
        verifier: The run's twin with its calibration.
        a: The one item.
        b: The other.

    Raises:
        CrossModalError: An item that the twin cannot encode.
    """
    embedded = np.stack([embedding_of(verifier.twin, each) for each in (a, b)])
    kinds = [PICTURE if each.modality == "image" else TEXT for each in (a, b)]
    return verifier.answer_embedded(embedded, comparison(*kinds))


def in_sentences(answer: Answer) -> list[str]:
    """What to know about an answer besides its numbers."""
    lines = [f"Compared: {in_words(answer.comparison)}."]
    if answer.same is not None:
        assert answer.prior is not None
        assert answer.false_accept is not None
        assert answer.false_reject is not None
        lines += [
            f"Threshold chosen by: {answer.chosen_by}.",
            f"The probability holds where {100 * answer.prior:g} % of pairs are the same.",
            f"Errors to expect: different taken for the same {answer.false_accept.percent()}; same taken for "
            f"different {answer.false_reject.percent()}.",
        ]
    return lines + [f"{note[:1].upper()}{note[1:]}." for note in answer.notes]


def truth(a: PairItem, b: PairItem) -> str | None:
    """What the labels of two items say; None where one has none."""
    if a.label is None or b.label is None:
        return None
    return "same class" if a.label == b.label else "different classes"


def explain(verifier: Verifier, a: PairItem, b: PairItem) -> MatchExplanation:
    """Why two items score as they do.

    Raises:
        CrossModalError: An item of which nothing is left to look at, or that cannot be read.
    """
    sides = []
    for name, item in (("A", a), ("B", b)):
        if item.side is None:
            raise CrossModalError(
                f"{name}: expected a picture file or a small picture in the gallery, found neither; "
                "cross-modal index --thumbnails keeps small pictures"
            )
        sides.append(item.side)
    return explain_match(verifier.twin, sides[0], sides[1], PLAIN)


def notes_on(match: MatchExplanation, answer: Answer, a: PairItem, b: PairItem, scorer: str) -> list[str]:
    """What to know before the maps are believed, a sentence each."""
    notes = []
    small = [name for name, item in (("A", a), ("B", b)) if item.small]
    if scorer == "head":
        notes.append(
            f"A trained head makes the score {answer.score:.4f}; the maps explain the similarity of the two embeddings "
            f"below it, {match.score:.4f}."
        )
    elif abs(match.score - answer.score) > AGREE:
        why = "the small picture of " + " and ".join(small) if small else "what is shown here"
        notes.append(
            f"The gallery's embeddings score {answer.score:.4f}, {why} {match.score:.4f}: the maps explain the latter."
        )
    for name, side in (("A", match.a), ("B", match.b)):
        if side.coverage < 1:
            notes.append(
                f"{name}: attention and links cover {side.coverage:.0%} of the embedding, the rest is the pretrained "
                "model's own; contributions cover all of it."
            )
        if side.note:
            notes.append(f"{name}: no map of single parts ({side.note}).")
    return notes


def values_of(side: SideExplanation, name: MapName) -> np.ndarray | None:
    """A side's map (h, w) or its values of n words; None where there is none.

    Args:
        side: The side.
        name: Which map.
    """
    if name == "contributions":
        return side.contributions
    if side.modality == "text":
        return np.array([word[1 if name == "weights" else 2] for word in side.words], np.float32)
    if name == "weights":
        return None if side.attention is None else side.attention.mean
    return side.effect_map


@dataclass(frozen=True)
class Checked:
    """A deletion test of one map of one side.

    Attributes:
        side: "A" or "B".
        map: Which map.
        curves: The scores; None where nothing could be hidden.
    """

    side: str
    map: MapName
    curves: Deletion | None

    @property
    def verdict(self) -> Verdict:
        """Whether the map beats chance."""
        if self.curves is None:
            return "none"
        return "holds" if self.curves.faithful else "fails"

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        if self.curves is None:
            return "Nothing to hide: a single word, or no map."
        first, random = self.curves.pointed[0], self.curves.random[1:].mean()
        fall, chance = first - self.curves.pointed[1:].mean(), first - random
        numbers = (
            f"the score {_moves(fall)} on average when the parts pointed at are hidden, and {_moves(chance)} when as "
            "many are hidden at random"
        )
        if self.verdict == "holds":
            return f"Holds: {numbers}." if fall > 0 else f"Beats chance only: {numbers}."
        return f"Does not hold: {numbers}. This map does not show what the score rests on."


def check(verifier: Verifier, a: PairItem, b: PairItem, match: MatchExplanation) -> list[Checked]:
    """Hides what each map points at, on both sides.

    Returns:
        For A, then B, each map in the order of `MAPS`.
    """
    assert a.side is not None
    assert b.side is not None
    found = check_match(verifier.twin, a.side, b.side, match, PLAIN)
    return [
        Checked(side, name, curves.get(name))
        for side, curves in zip(("A", "B"), found, strict=True)
        for name in MAPS.values()
    ]


def deletion_table(checked: list[Checked]) -> pd.DataFrame:
    """The curves as a table: side, map, share hidden, score with the parts pointed at hidden, and at random."""
    parts = [
        pd.DataFrame(
            {
                "side": each.side,
                "map": each.map,
                "share_hidden": each.curves.shares,
                "score_pointed": each.curves.pointed,
                "score_random": each.curves.random,
            }
        )
        for each in checked
        if each.curves is not None
    ]
    columns = ["side", "map", "share_hidden", "score_pointed", "score_random"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def verdict_table(checked: list[Checked]) -> pd.DataFrame:
    """Each map of each side with its verdict and the gap to chance; None where nothing could be hidden."""
    words = {value: key for key, value in MAPS.items()}
    rows = [
        (each.side, words[each.map], each.verdict, None if each.curves is None else each.curves.gap) for each in checked
    ]
    return pd.DataFrame(rows, columns=["side", "map", "verdict", "falls below chance by"])


def late_interaction_score(match: MatchExplanation) -> float | None:
    """The mean, over both directions, of each part's best likeness on the other side; None where there are no parts.

    Source: `cross_modal.gallery.late_interaction`, of the parts that are shown.
    """
    found = match.similarities
    return float((found.max(1).mean() + found.max(0).mean()) / 2) if found.size else None


def link_table(match: MatchExplanation) -> pd.DataFrame:
    """The linked parts: number, where on A, where on B, and how alike."""
    rows = [
        (number, part_name(match.a, link.a), part_name(match.b, link.b), link.similarity)
        for number, link in enumerate(match.links, 1)
    ]
    return pd.DataFrame(rows, columns=["number", "a", "b", "similarity"])


def part_name(side: SideExplanation, shown: int) -> str:
    """What to call a part that a link names: a place of the picture, or letters.

    Args:
        side: The side.
        shown: Number of the part among those shown.
    """
    if side.spans is not None:
        return side.spans.pieces[int(side.shown[shown])]
    if side.attention is None:
        return f"part {shown + 1}"
    row, column = divmod(shown, side.attention.mean.shape[1])
    return f"row {row + 1}, column {column + 1}"


def parts_table(match: MatchExplanation) -> pd.DataFrame:
    """All values of all maps, a row each: side, map, part, value."""
    parts = []
    for name, side in (("A", match.a), ("B", match.b)):
        for kind in MAPS.values():
            values = values_of(side, kind)
            if values is None:
                continue
            if side.modality == "text":
                called = [word for word, _, _ in side.words]
            else:
                called = [f"row {row + 1}, column {column + 1}" for row, column in np.ndindex(*values.shape)]
            parts.append(pd.DataFrame({"side": name, "map": kind, "part": called, "value": values.reshape(-1)}))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["side", "map", "part", "value"])


def _moves(fall: float) -> str:
    """A change of the score in words.

    >>> _moves(0.25), _moves(-0.5)
    ('falls by 0.250', 'rises by 0.500')
    """
    return f"falls by {fall:.3f}" if fall >= 0 else f"rises by {-fall:.3f}"
