"""Amounts in words: bytes in a unit that one can read, and a number with its noun."""

from __future__ import annotations

_UNITS = ("B", "kB", "MB", "GB", "TB")


def size(count: float) -> str:
    """Bytes in the unit that leaves one to three digits before the point.

    >>> size(12), size(76_800), size(2.5e9)
    ('12 B', '76.8 kB', '2.5 GB')
    """
    place = 0
    while count >= 999.95 and place < len(_UNITS) - 1:
        count, place = count / 1000, place + 1
    return f"{count:.1f} {_UNITS[place]}" if place else f"{count:.0f} B"


def counted(count: int, what: str) -> str:
    """A number with its noun.

    >>> counted(1, "pair"), counted(2000, "pair")
    ('1 pair', '2,000 pairs')
    """
    return f"{count:,} {what}{'' if count == 1 else 's'}"
