"""Which piece of a text each token stands for: what explanations need to write a token's weight under its letters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class TokenSpans:
    """The tokens of one text, in the order of the trunk's tokens.

    Attributes:
        text: The text as the tokenizer read it (some lower the case first); spans count its characters.
        pieces: (L,) what each token stands for: its letters, or its name in angle brackets where it stands for none.
        spans: (L,) first character and the one after the last; equal where the token stands for no letters (the marks
            of a text's start and end, padding).

    >>> spans = TokenSpans("red cat", ("red", "cat"), ((0, 3), (4, 7)))
    >>> spans.words
    (('red', (0,)), ('cat', (1,)))
    """

    text: str
    pieces: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]

    def __len__(self) -> int:
        return len(self.pieces)

    @property
    def special(self) -> tuple[bool, ...]:
        """(L,) true where a token stands for no letters."""
        return tuple(start == end for start, end in self.spans)

    @property
    def words(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """What blanks divide the text into: each word with the numbers of its tokens (none where it was cut off)."""
        found = []
        for start, end in _words(self.text):
            inside = tuple(i for i, (first, last) in enumerate(self.spans) if first < end and last > start)
            found.append((self.text[start:end], inside))
        return tuple(found)

    def of(self, tokens: Sequence[int]) -> TokenSpans:
        """Those tokens, of the same text."""
        return TokenSpans(self.text, tuple(self.pieces[i] for i in tokens), tuple(self.spans[i] for i in tokens))

    def part(self, begin: int, end: int) -> TokenSpans:
        """Some of the tokens, of the same text."""
        return TokenSpans(self.text, self.pieces[begin:end], self.spans[begin:end])


def spans_without_letters(text: str, pieces: list[str]) -> TokenSpans:
    """Tokens whose letters are not known: their names only."""
    return TokenSpans(text, tuple(pieces), ((0, 0),) * len(pieces))


def _words(text: str) -> list[tuple[int, int]]:
    spans, at = [], 0
    for word in text.split():
        start = text.index(word, at)
        at = start + len(word)
        spans.append((start, at))
    return spans
