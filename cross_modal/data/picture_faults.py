"""Which pictures cannot be read: each distinct one is looked at once, by one of the processes that read together."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from cross_modal.configuration import DataConfig
from cross_modal.data.archive_member import ArchiveMember
from cross_modal.data.together import ALONE, Together, name_mark, refuse_others

Stored = str | bytes | ArchiveMember  # a cell whose picture is decoded from what is stored
CHECKED_AT_ONCE = 256  # pictures that a thread looks at


def picture_faults(pictures: Sequence[Stored], config: DataConfig, together: Together = ALONE) -> dict[Stored, str]:
    """Looks at the header of every picture; under `on_bad_item` "skip" decodes it, too (JPEG at an eighth of its size).

    Args:
        pictures: Distinct cells, the same in every process.
        config: Size limit, workers and policy.
        together: The processes that read; each looks at every size-th picture, and all hear of all faults.

    Returns:
        What is wrong with which.

    Raises:
        CrossModalError: Where a process has other pictures than process 0.
    """
    from cross_modal.data.decode import check

    whole = config.on_bad_item == "skip"
    own = range(together.rank, len(pictures), together.size)

    def faults_of(places: range) -> list[tuple[int, str]]:
        looked_at = ((place, check(pictures[place], config.max_pixels, whole=whole)) for place in places)
        return [(place, fault) for place, fault in looked_at if fault]

    # Threads take parts: one future a picture would fill memory.
    with ThreadPoolExecutor(max(config.workers, 1)) as pool:
        starts = range(0, len(own), CHECKED_AT_ONCE)
        parts = pool.map(faults_of, (own[start : start + CHECKED_AT_ONCE] for start in starts))
        faults = [fault for part in parts for fault in part]
    if together.size > 1:
        names = (str(len(cell)) if isinstance(cell, bytes) else str(cell) for cell in pictures)
        said = together.collected({"count": len(pictures), "mark": name_mark(names), "faults": faults})
        refuse_others(said, "pictures")
        faults = sorted((place, fault) for each in said for place, fault in each["faults"])
    return {pictures[place]: fault for place, fault in faults}
