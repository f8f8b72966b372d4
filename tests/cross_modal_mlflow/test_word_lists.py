"""Words arrive as they were typed, in the list that they were typed for."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cross_modal_mlflow.word_lists import gather_words


@dataclass
class Options:
    gallery: str = ""
    image: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    top: int = 10
    by_class: bool = False


words = st.text(min_size=1).filter(lambda word: not word.startswith("--"))


@given(st.lists(words, min_size=1), st.lists(words, min_size=1))
def test_every_word_arrives_whole(images: list[str], texts: list[str]) -> None:
    found = gather_words(["g", "--image", *images, "--text", *texts], Options, ["image", "text"])
    assert found[0] == "g"
    lists = dict(word[2:].split("=", 1) for word in found[1:])
    assert {name: json.loads(value) for name, value in lists.items()} == {"image": images, "text": texts}


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (["--text", "a", "--top", "3", "--text", "b"], ["--top", "3", '--text=["a", "b"]']),
        (["--text=a b", "--text", "c"], ['--text=["a b", "c"]']),
        (["--by-class", "x", "--top=3"], ["x", "--by-class", "--top=3"]),
        (["--by-class", "no", "x"], ["x", "--by-class", "no"]),
        (["--top", "-3", "x"], ["x", "--top", "-3"]),
        (["--text"], []),
        (["--print_config", "--help"], ["--print_config", "--help"]),
    ],
)
def test_options_keep_their_values(typed: list[str], expected: list[str]) -> None:
    assert gather_words(typed, Options, ["image", "text"]) == expected


def test_nameless_words_after_the_first_are_a_list_wherever_they_stand() -> None:
    found = gather_words(
        ["g", "a b.png", "--top", "3", "c.png", "--by-class", "--image", "d"], Options, ["image"], positional="image"
    )
    assert found == ["g", "--top", "3", "--by-class", '--image=["a b.png", "c.png", "d"]']


def test_an_option_may_have_another_name() -> None:
    assert gather_words(["--not", "wet"], Options, ["text"], aliases={"not": "text"}) == ['--text=["wet"]']
