"""The galleries that whoever starts the explorer named: pages choose among these and the run's own, by name alone.

No path ever comes from an address or a field of a page: a link says ``gallery=all-splits``, and what is not on the list
is refused.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import PurePosixPath

VARIABLE = "CROSS_MODAL_EXPLORER_GALLERIES"


def pass_on(locations: Sequence[str]) -> None:
    """Leaves the galleries where the pages of this process find them."""
    os.environ[VARIABLE] = json.dumps(list(locations))


def known_galleries() -> dict[str, str]:
    """Name → location; two of one name are told apart by a number.

    >>> pass_on(["/data/birds.gallery", "/other/birds.gallery", "milvus:/data/a.db#cats"])
    >>> known_galleries()
    {'birds': '/data/birds.gallery', 'birds 2': '/other/birds.gallery', 'cats': 'milvus:/data/a.db#cats'}
    >>> del os.environ[VARIABLE]
    >>> known_galleries()
    {}
    """
    found: dict[str, str] = {}
    for location in json.loads(os.environ.get(VARIABLE, "[]")):
        name = plain = location.rpartition("#")[2] if "#" in location else PurePosixPath(location).stem
        number = 1
        while name in found:
            number += 1
            name = f"{plain} {number}"
        found[name] = location
    return found
