"""What `cross-modal classify` takes on the command line: queries, the gallery, and how its classes are told."""

from __future__ import annotations

from dataclasses import dataclass, field

from cross_modal.configuration import DataConfig


@dataclass
class ClassifyOptions:
    """What is classified, and by what.

    Attributes:
        gallery: The gallery: a folder, milvus:FILE.db or milvus:http://HOST:PORT.
        image: Picture files.
        text: Texts.
        model: The gallery's model, where it is no longer where the gallery says; another one is refused.
        method: The few-shot classifier: prototypes, nearest_neighbours, tip_adapter, zero_shot and others.
        where: Only references that fulfil these conditions are examples.
        top: How many classes are shown of each item.
        false_accept_rate: At most this share of strangers may be given a label; 1 gives every item one.
        html: Write the answers, with pictures, as one page to this file.
        seed: Of the folds in which the threshold is learned.
        items: How pictures are decoded.
    """

    gallery: str = ""
    image: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    model: str | None = None
    method: str = "prototypes"
    where: list[str] = field(default_factory=list)
    top: int = 3
    false_accept_rate: float = 0.05
    html: str | None = None
    seed: int = 0
    items: DataConfig = field(default_factory=DataConfig)
