"""What a gallery answered, as a table on the terminal and as one line that says how the answer came about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

_WIDEST = {"label": 28, "text": 44}  # letters of a column on the terminal


@dataclass(frozen=True)
class Hit:
    """One item that was found.

    Attributes:
        rank: From 1.
        score: Cosine, or negative Euclidean distance.
        id: The item's.
        kind: What was embedded: "image" or "text".
        label: Its class, where it has one.
        text: Its text, where it has one.
        image: Its picture's path, where it has one.
        genuine: False for a forgery of its label.
        before: Its rank before it was re-ranked; None where nothing was.
        tokens: What re-ranking gave it: late interaction; None where it could not be had.
    """

    rank: int
    score: float
    id: str
    kind: str = "image"
    label: str | None = None
    text: str | None = None
    image: str | None = None
    genuine: bool = True
    before: int | None = None
    tokens: float | None = None

    @property
    def name(self) -> str:
        """Its label, and whether it is a forgery of it; empty where it has none."""
        return (self.label or "") if self.genuine else f"{self.label or ''} (not genuine)".strip()


def hits_table(hits: Sequence[Hit], *, title: str | None = None) -> Table:
    """The hits of one query, best first; columns in which nothing stands are left out.

    Args:
        hits: The hits.
        title: The line above.

    Returns:
        A rich table.
    """
    from rich.table import Table
    from rich.text import Text

    table = Table(title=None if title is None else Text(shown(title)), title_justify="left", header_style="bold")
    table.add_column("rank", justify="right")
    table.add_column("score", justify="right")
    again = any(hit.before is not None for hit in hits)
    for name in ["tokens", "before"] if again else []:
        table.add_column(name, justify="right")
    columns = {
        name: cell for name, cell in (("label", "name"), ("text", "text")) if any(getattr(h, cell) for h in hits)
    }
    mixed = len({hit.kind for hit in hits}) > 1
    for name in [*columns, *(["kind"] if mixed else [])]:
        table.add_column(name)
    table.add_column("id", overflow="fold")
    for hit in hits:
        cells = [str(hit.rank), f"{hit.score:.4f}"]
        cells += ["–" if hit.tokens is None else f"{hit.tokens:.4f}", str(hit.before)] if again else []
        cells += [shown(getattr(hit, cell) or "", _WIDEST[name]) for name, cell in columns.items()]
        cells += [hit.kind] if mixed else []
        table.add_row(*(Text(cell) for cell in [*cells, shown(hit.id)]))
    return table


def badge(*, exact: bool, recall: float | None, references: int, seconds: float, of: int | None = None) -> str:
    """How an answer came about, in one line.

    Args:
        exact: All references were compared.
        recall: The measured recall of an approximate index; None where it was never measured.
        references: How many references were searched.
        seconds: What the search took.
        of: How many references the gallery has, where a filter left some out.

    Returns:
        One line.

    >>> badge(exact=True, recall=None, references=30_000, seconds=0.0031)
    'exact, 30,000 references, 3.1 ms'
    >>> badge(exact=False, recall=0.98, references=2_000_000, seconds=0.012)
    'ANN, measured recall 0.98, 2,000,000 references, 12 ms'
    """
    if exact:
        how = "exact"
    else:
        how = "ANN, recall not measured" if recall is None else f"ANN, measured recall {recall:.2f}"
    some = f"{references:,}" if of is None or of == references else f"{references:,} of {of:,}"
    return f"{how}, {some} reference{'' if references == 1 and of in (None, 1) else 's'}, {duration(seconds)}"


def duration(seconds: float) -> str:
    """A duration with two digits that count.

    >>> duration(0.00031), duration(0.0124), duration(2.51)
    ('0.31 ms', '12 ms', '2.5 s')
    """
    if seconds >= 1:
        return f"{seconds:.1f} s"
    return f"{1000 * seconds:.2g} ms" if seconds < 0.0995 else f"{1000 * seconds:.0f} ms"


def shown(text: str, widest: int | None = None) -> str:
    r"""Text of the data as one line that a terminal only prints: escape sequences in it do nothing.

    >>> shown("red\x1b[31m\nshoe")
    'red�[31m shoe'
    """
    line = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in " ".join(text.split()))
    return line if widest is None or len(line) <= widest else f"{line[: widest - 1]}…"
