"""What `cross-modal index` takes on the command line: what is written into which gallery, and what is done with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from cross_modal.configuration import DataConfig


@dataclass
class IndexOptions:
    """What is written where.

    Attributes:
        model: The model: runs:/ID/model, models:/NAME@ALIAS or a folder.
        data: The source, as for train; none takes what the model was trained on.
        gallery: The gallery: a folder, milvus:FILE.db or milvus:http://HOST:PORT#NAME.
        split: The split that is indexed; "all" takes every item.
        of: What is embedded: the picture of an item that has one, else its text ("auto"); pictures only; texts only;
            "each" takes both, as rows of their own.
        thumbnail: Longest side in pixels of the small pictures kept beside the embeddings; 0 keeps none.
        batch: Items in a forward pass.
        prune: Take rows of this source away whose items are gone from it, from whatever split.
        prefix: Begins the id of every row: sets two sources with the same file names apart.
        replace: Let rows take the place of another source's, where ids are the same and pictures are not.
        cohort: A source whose validation split settles how near strangers come ("identify" needs it); "auto" takes the
            indexed one's, "none" leaves it out.
        show: Show rows instead of writing any.
        where: With --show and --delete: only rows of these filters, e.g. label=cat split!=train.
        limit: With --show: rows at most.
        delete: Take rows of these ids away; without ids, those of --where.
        versions: Show the versions that can be opened.
        tag: Name the present version, so that it is kept.
        export: Write the whole gallery to a Parquet file.
        ann: Build an approximate index (IVF-PQ), for galleries of a million rows and more; its recall is measured.
        items: How the source becomes items and splits; what is not given is as the model was trained.
    """

    model: str = ""
    data: str | None = None
    gallery: str = ""
    split: Literal["train", "validation", "test", "all"] = "test"
    of: Literal["auto", "image", "text", "each"] = "auto"
    thumbnail: int = 96
    batch: int = 256
    prune: bool = False
    prefix: str = ""
    replace: bool = False
    cohort: str = "auto"
    show: bool = False
    where: list[str] = field(default_factory=list)
    limit: int = 20
    delete: list[str] | None = None
    versions: bool = False
    tag: str | None = None
    export: str | None = None
    ann: bool = False
    items: DataConfig = field(default_factory=DataConfig)
