"""Connected components of rows that share a thing: what must not be torn apart by a split.

Two rows of a pairs table that share a picture, two classes that share a group: union-find over the things' names.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence


def connected_components(*columns: Sequence[Hashable]) -> list[str]:
    """The component of each row; two rows are joined where they share a thing in any column.

    Args:
        *columns: Aligned columns of things; None joins nothing.

    Returns:
        One name a row: the smallest name of a thing of its component, which does not change with the order of rows.

    >>> connected_components(["a", "b", "d"], ["b", "c", "e"])
    ['a', 'a', 'd']
    """
    root: dict[Hashable, Hashable] = {}

    def find(thing: Hashable) -> Hashable:
        while root[thing] != thing:
            root[thing] = root[root[thing]]
            thing = root[thing]
        return thing

    rows = [[thing for thing in row if thing is not None] for row in zip(*columns, strict=True)]
    for things in rows:
        for thing in things:
            root.setdefault(thing, thing)
            root[find(thing)] = find(things[0])
    name: dict[Hashable, str] = {}
    for thing in root:
        top = find(thing)
        name[top] = min(name.get(top, str(thing)), str(thing))
    return [name[find(things[0])] if things else "" for things in rows]
