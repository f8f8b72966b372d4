"""A weighted mix ranks as the weighted sum of its terms' scores does, and an equation comes back as it was written."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cross_modal.errors import CrossModalError
from cross_modal.gallery.composition import Term, compose, format_equation, parse_equation

weights = st.floats(allow_nan=False, allow_infinity=False)
values = st.text(min_size=1).filter(str.strip)


def spoken(equation: str) -> list[tuple[float, str, str]]:
    return [(term.weight, term.kind, term.value) for term in parse_equation(equation)]


def test_an_equation_reads_as_people_write_it() -> None:
    assert spoken("1 image:shoe.jpg + 0.5 text:red - 0.5 text:leather") == [
        (1.0, "image", "shoe.jpg"),
        (0.5, "text", "red"),
        (-0.5, "text", "leather"),
    ]
    assert spoken("text:red") == [(1.0, "text", "red")]
    assert spoken("-2*id:a/b.png  +  .5 * text:x") == [(-2.0, "id", "a/b.png"), (0.5, "text", "x")]
    assert spoken("1 text:red \N{MINUS SIGN} 1e-1 text:wet") == [(1.0, "text", "red"), (-0.1, "text", "wet")]


@pytest.mark.parametrize("value", ["wet-look - shiny + new", "a: b", "2 + 2", "C++ - text", "http://x/y?a=b"])
def test_signs_blanks_and_colons_inside_a_value_need_no_quotes(value: str) -> None:
    assert spoken(f"text:{value} - 0.5 text:red") == [(1.0, "text", value), (-0.5, "text", "red")]


def test_quotes_take_what_would_be_read_as_a_term() -> None:
    assert spoken('text:"a - 2 text:b" + id:c') == [(1.0, "text", "a - 2 text:b"), (1.0, "id", "c")]


@given(st.lists(st.tuples(weights, st.sampled_from(["image", "text", "id"]), values), min_size=1, max_size=4))
def test_every_equation_comes_back(parts: list[tuple[float, str, str]]) -> None:
    terms = [
        Term(
            weight,
            value if kind == "image" else None,
            value if kind == "text" else None,
            value if kind == "id" else None,
        )
        for weight, kind, value in parts
    ]
    equation = format_equation(terms)
    assert spoken(equation) == parts
    assert "\n" not in equation


@given(st.text(max_size=60))
def test_whatever_is_typed_is_terms_or_one_line(equation: str) -> None:
    refused, terms = "", list[Term]()
    try:
        terms = parse_equation(equation)
    except CrossModalError as error:
        refused = str(error)
    assert len(refused.splitlines()) == (0 if terms else 1)
    assert all(math.isfinite(term.weight) and term.value.strip() for term in terms)


@pytest.mark.parametrize(
    ("equation", "says"),
    [
        ("", "found an empty one"),
        ("  ", "found an empty one"),
        ("red shoe", "at character 1, found 'red shoe'"),
        ("1 text:red 2", None),
        ('text:"red" text:blue', "at character 11, found 'text:blue'"),
        ("text: + 1 id:x", "expected something after text:, found nothing"),
        ('text:" "', "expected something after text:, found nothing"),
        ('text:"red', "expected a quoted value"),
        ("1e999 text:red", "expected a finite weight, found 1e999"),
        ("1 picture:shoe.jpg", "found '1 picture:shoe.jpg'"),
    ],
)
def test_what_is_no_equation_is_said_in_one_line(equation: str, says: str | None) -> None:
    if says is None:  # "red 2" is a text like any other
        assert spoken(equation) == [(1.0, "text", "red 2")]
        return
    with pytest.raises(CrossModalError) as caught:
        parse_equation(equation)
    assert says in str(caught.value)


def test_a_term_weighs_exactly_one_thing() -> None:
    with pytest.raises(CrossModalError, match="found image and text"):
        Term(1.0, image="a.png", text="a")
    with pytest.raises(CrossModalError, match="found 0"):
        Term(1.0)
    with pytest.raises(CrossModalError, match="finite weight, found nan"):
        Term(math.nan, text="a")
    with pytest.raises(CrossModalError, match="cannot be written"):
        format_equation([Term(1.0, vector=np.ones(3))])
    with pytest.raises(CrossModalError, match="at least 1 term"):
        format_equation([])


def clouds(seed: int, normalise: bool) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    rows, terms = generator.normal(size=(50, 6)), generator.normal(size=(3, 6))
    if normalise:
        rows, terms = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (rows, terms))
    return rows, terms


@given(st.integers(0, 1000), hnp.arrays(float, 3, elements=st.floats(-2, 2)).filter(lambda w: np.abs(w).max() > 0.1))
def test_cosine_mixes_rank_as_the_weighted_sum_of_cosines(seed: int, by: np.ndarray) -> None:
    rows, terms = clouds(seed, normalise=True)
    query = compose(terms, by, normalise=True)
    assert query.dtype == np.float32
    assert np.linalg.norm(query) == pytest.approx(1.0, abs=1e-6)
    sums = rows @ terms.T @ by
    assert rows @ query == pytest.approx(sums / np.linalg.norm(by @ terms), abs=1e-5)


@given(st.integers(0, 1000), hnp.arrays(float, 3, elements=st.floats(-2, 2)).filter(lambda w: w.sum() > 0.1))
def test_euclidean_mixes_rank_as_the_weighted_sum_of_squared_distances(seed: int, by: np.ndarray) -> None:
    rows, terms = clouds(seed, normalise=False)
    query = compose(terms, by, normalise=False)
    sums = np.square(rows[:, None] - terms).sum(-1) @ by
    own = by.sum() * np.square(rows - query).sum(1)
    assert sums - own == pytest.approx(np.full(50, (sums - own)[0]), rel=1e-3, abs=1e-2)


def test_magnitudes_do_not_weigh_where_the_twin_normalises() -> None:
    vectors = np.array([[10.0, 0.0], [0.0, 0.1]], np.float32)
    assert compose(vectors, [1, 1], normalise=True) == pytest.approx([math.sqrt(0.5)] * 2)
    assert compose(vectors, [1, 1], normalise=False) == pytest.approx([5.0, 0.05])


@pytest.mark.parametrize("normalise", [True, False])
def test_nothing_to_search_for_is_refused(normalise: bool) -> None:
    vector = np.random.default_rng(0).normal(size=(1, 64)).astype(np.float32)
    twice = np.concatenate([vector, vector])
    with pytest.raises(CrossModalError, match="found only zeros"):
        compose(twice, [0, 0], normalise)
    with pytest.raises(CrossModalError, match="cancel each other out" if normalise else "found 0"):
        compose(twice, [0.3, -0.3], normalise)
    with pytest.raises(CrossModalError, match="NaN or infinity"):
        compose(twice * np.nan, [1, 1], normalise)
    with pytest.raises(CrossModalError, match="T weights"):
        compose(twice, [1], normalise)
    with pytest.raises(CrossModalError, match="T weights"):
        compose(np.zeros((0, 3)), [], normalise)


def test_only_a_cosine_has_a_nearest_to_what_is_not_wanted() -> None:
    leather = np.array([[1.0, 0.0]], np.float32)
    assert compose(leather, [-1.0], normalise=True).tolist() == [-1.0, 0.0]
    with pytest.raises(CrossModalError, match=r"positive sum .* found -1"):
        compose(leather, [-1.0], normalise=False)
