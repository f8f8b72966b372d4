"""What `cross-modal identify` takes on the command line: who is looked for, where, and how sure one must be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from cross_modal.configuration import DataConfig


@dataclass
class IdentifyOptions:
    """Who is looked for, and where.

    Attributes:
        gallery: The gallery: a folder, milvus:FILE.db or milvus:http://HOST:PORT.
        query: Picture files; or texts, where the gallery is of texts.
        model: The gallery's model, where it is no longer where the gallery says; another one is refused.
        rate: The share of strangers that may be taken for somebody.
        how: The references of an identity: their mean, or the best of them.
        where: Only references that fulfil these conditions are enrolled.
        data: Labelled probes to measure on; those with a label that is not enrolled are strangers.
        split: With --data: the split of it that is measured, where it has any; all of it unless given.
        check: Report references that are far from their fellows.
        seed: Of the intervals.
        items: How pictures are decoded.
    """

    gallery: str = ""
    query: list[str] = field(default_factory=list)
    model: str | None = None
    rate: float = 0.01
    how: Literal["mean", "best"] = "mean"
    where: list[str] = field(default_factory=list)
    data: str | None = None
    split: str | None = None
    check: bool = False
    seed: int = 0
    items: DataConfig = field(default_factory=DataConfig)
