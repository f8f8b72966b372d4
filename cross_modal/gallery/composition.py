"""A query made of several: "this shoe, but red, not leather" is one vector, and one line of text.

The equation is the same on the command line, in a URL and in Python:

    1 image:shoe.jpg + 0.5 text:red - 0.5 text:leather

Each term has a weight (1 where none is written, negative for what is not wanted) and names a picture file, a text, or
an item of the gallery (``id:…``). A value ends where the next sign and term begin, so blanks, commas and dashes need no
quotes; JSON's double quotes take everything else.

What is searched for is the vector whose nearest items are those with the highest weighted sum of scores:

    cosine      Σ w_i cos(x, v_i)      = ‖q‖ cos(x, q)           with q = Σ w_i v_i,  v_i of length one
    Euclidean   −Σ w_i ‖x − v_i‖²      = −W ‖x − q‖² + constant   with q = Σ w_i v_i / W,  W = Σ w_i > 0

so that nothing but the one vector has to be compared with the gallery. Weights of a Euclidean twin whose sum is not
positive have no nearest point, only a farthest direction, and are refused; so are terms that cancel each other out.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from cross_modal.errors import CrossModalError

TermKind = Literal["image", "text", "id", "vector"]
WRITTEN: tuple[TermKind, ...] = ("image", "text", "id")

_SIGN = "[-+\N{MINUS SIGN}]"
_TERM = rf"(?:(?P<weight>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)\s*\*?\s*)?(?P<kind>{'|'.join(WRITTEN)}):"
_HEAD = re.compile(rf"\s*(?P<sign>{_SIGN})?\s*{_TERM}", re.ASCII)
_NEXT = re.compile(rf"\s+(?={_SIGN}\s*{_TERM})", re.ASCII)
_CANCELLED = 1e-6  # of the weights' absolute sum: float32 embeddings that cancel leave this much


@dataclass(frozen=True)
class Term:
    """One term of a composed query: a weight, and exactly one thing that is weighted.

    Attributes:
        weight: Finite; negative for what is not wanted.
        image: A picture file.
        text: A text.
        id: The id of an item of the gallery.
        vector: An embedding (D,), which no equation can write.

    Raises:
        CrossModalError: Nothing or several things are weighted, or the weight is no finite number.

    >>> Term(-0.5, text="leather").kind
    'text'
    """

    weight: float
    image: str | None = None
    text: str | None = None
    id: str | None = None
    vector: np.ndarray | None = None

    def __post_init__(self) -> None:
        given = [name for name in (*WRITTEN, "vector") if getattr(self, name) is not None]
        if len(given) != 1:
            raise CrossModalError(f"term: expected one of image, text, id and vector, found {' and '.join(given) or 0}")
        if not math.isfinite(self.weight):
            raise CrossModalError(f"term: expected a finite weight, found {self.weight}")

    @property
    def kind(self) -> TermKind:
        """Which of the four is weighted."""
        if self.vector is not None:
            return "vector"
        return "image" if self.image is not None else "text" if self.text is not None else "id"

    @property
    def value(self) -> str:
        """The file, text or id; of a vector its shape."""
        if self.vector is not None:
            return f"vector {self.vector.shape}"
        return str(getattr(self, self.kind))


def parse_equation(equation: str) -> list[Term]:
    """Reads an equation.

    Args:
        equation: As in the module's description; a weight may be followed by ``*``.

    Returns:
        The terms, in order.

    Raises:
        CrossModalError: An empty equation, something that is no term, an empty value or a broken quotation.

    >>> terms = parse_equation("image:a b.jpg + 0.5 text:red - text:wet-look")
    >>> [(term.weight, term.kind, term.value) for term in terms]
    [(1.0, 'image', 'a b.jpg'), (0.5, 'text', 'red'), (-1.0, 'text', 'wet-look')]
    """
    if not equation.strip():
        raise CrossModalError('query: expected an equation ("1 image:shoe.jpg + 0.5 text:red"), found an empty one')
    terms, place = list[Term](), 0
    while place < len(equation.rstrip()):
        head = _HEAD.match(equation, place)
        if head is None or (terms and head["sign"] is None):
            raise CrossModalError(
                f"query: expected a term ([+ or -] [weight] image:FILE, text:WORDS or id:ID) at character {place + 1}, "
                f"found {_cut(equation[place:].strip())!r}"
            )
        value, place = _value(equation, head.end())
        weight = float(head["weight"] or 1.0)
        if not math.isfinite(weight):
            raise CrossModalError(f"query: expected a finite weight, found {head['weight']}")
        if not value.strip():
            raise CrossModalError(f"query: expected something after {head['kind']}:, found nothing")
        sign = 1.0 if head["sign"] in (None, "+") else -1.0
        named = {kind: value if kind == head["kind"] else None for kind in WRITTEN}
        terms.append(Term(sign * weight, named["image"], named["text"], named["id"]))
    return terms


def format_equation(terms: Sequence[Term]) -> str:
    """Writes an equation that `parse_equation` reads as the same terms.

    Args:
        terms: At least one, none of them a vector.

    Returns:
        One line.

    Raises:
        CrossModalError: No terms, a vector, or an empty value.

    >>> format_equation([Term(1.0, image="shoe.jpg"), Term(-0.5, text="leather")])
    '1 image:shoe.jpg - 0.5 text:leather'
    """
    if not terms:
        raise CrossModalError("query: expected at least 1 term, found none")
    parts = []
    for place, term in enumerate(terms):
        if term.kind == "vector":
            raise CrossModalError("query: a vector cannot be written, expected an image, a text or an id")
        if not term.value.strip():
            raise CrossModalError(f"query: expected something after {term.kind}:, found nothing")
        negative = math.copysign(1.0, term.weight) < 0
        sign = ("- " if negative else "+ ") if place else ("-" if negative else "")
        parts.append(f"{sign}{_number(abs(term.weight))} {term.kind}:{_written(term.value)}")
    return " ".join(parts)


def compose(vectors: np.ndarray, weights: Sequence[float] | np.ndarray, normalise: bool) -> np.ndarray:
    """The one vector to search for.

    Args:
        vectors: (T, D) float embeddings of the terms.
        weights: (T,) their weights.
        normalise: The twin's own: embeddings of length one, compared by cosine; false: by Euclidean distance.

    Returns:
        (D,) float32; of length one where `normalise`, else the weighted mean.

    Raises:
        CrossModalError: No terms, numbers that are not finite, all weights zero, terms that cancel out, or, without
            `normalise`, weights whose sum is not positive.

    >>> compose(np.eye(2, dtype=np.float32), [3.0, 4.0], normalise=True).round(3).tolist()
    [0.6000000238418579, 0.800000011920929]
    >>> compose(np.eye(2, dtype=np.float32), [1.0, 1.0], normalise=False).tolist()
    [0.5, 0.5]
    """
    rows, by = np.asarray(vectors, np.float64), np.asarray(weights, np.float64)
    if rows.ndim != 2 or not rows.size or by.shape != rows.shape[:1]:
        raise CrossModalError(f"query: expected vectors (T, D) and T weights, found {rows.shape} and {by.shape}")
    if not (np.isfinite(rows).all() and np.isfinite(by).all()):
        raise CrossModalError("query: expected finite embeddings and weights, found NaN or infinity")
    if not by.any():
        raise CrossModalError("query: expected a weight other than 0, found only zeros: there is nothing to search for")
    if not normalise:
        return _weighted_mean(rows, by)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    mixed = by @ (rows / np.maximum(lengths, np.finfo(np.float64).tiny))
    length = float(np.linalg.norm(mixed))
    if length <= _CANCELLED * float(np.abs(by).sum()):
        raise CrossModalError("query: the terms cancel each other out: there is nothing left to search for")
    return (mixed / length).astype(np.float32)


def _weighted_mean(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    total = float(weights.sum())
    if total <= _CANCELLED * float(np.abs(weights).sum()):
        raise CrossModalError(
            f"query: expected weights with a positive sum (this model compares by Euclidean distance, where anything "
            f"else has no nearest point), found {total:g}"
        )
    return (weights @ rows / total).astype(np.float32)


def _value(equation: str, begin: int) -> tuple[str, int]:
    """The value that begins here, and where it ends."""
    if not equation.startswith('"', begin):
        ending = _NEXT.search(equation, begin)
        end = len(equation) if ending is None else ending.start()
        return equation[begin:end].strip(), end
    try:
        value, end = json.JSONDecoder().raw_decode(equation, begin)
    except json.JSONDecodeError as error:
        raise CrossModalError(
            f"query: expected a quoted value as JSON writes it at character {begin + 1}, found {error.msg.lower()}"
        ) from None
    return value, end


def _written(value: str) -> str:
    """A value as it stands, or quoted where it would be read as something else."""
    plain = value == value.strip() and value.isprintable() and not value.startswith('"') and not _NEXT.search(value)
    return value if plain else json.dumps(value, ensure_ascii=False)


def _number(weight: float) -> str:
    """The shortest decimal that is this number again.

    >>> _number(1.0), _number(0.25), _number(1e-07)
    ('1', '0.25', '1e-07')
    """
    return str(int(weight)) if weight.is_integer() and weight < 1e15 else repr(weight)


def _cut(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"
