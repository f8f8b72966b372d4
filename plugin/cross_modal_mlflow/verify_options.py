"""What `cross-modal verify` takes on the command line: two sides or a file of pairs, and where "same" begins."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from cross_modal.configuration import DataConfig


@dataclass
class VerifyOptions:
    """What is compared.

    Attributes:
        model: The model: runs:/ID/model, models:/NAME@ALIAS or a folder.
        a: One item: a picture file or a text.
        b: The other one.
        image_a: The picture of the one item, whatever the file is called.
        text_a: The text of the one item, even if it is called like a file.
        image_b: The picture of the other one.
        text_b: The text of the other one.
        reference: Several items in place of B that are known to be the same: is A one of them?
        how: Several references: the mean of the scores, the best of them, or the mean against a threshold that follows
            how alike these references are ("identity").
        false_accept_rate: Decide at the threshold that takes at most this share of different pairs for the same, in
            place of the one that training chose.
        exit_code: Leave with 0 where they are the same and with 1 where they differ.
        pairs: A file of pairs, of any size: all of them are answered, and measured where it says which are the same.
        out: With --pairs: the CSV file for the answers; - is the terminal.
        no_track: With --pairs: leave no MLflow run. A file that says which pairs are the same is a measurement, and is
            tracked as `evaluate` tracks it, answers included; other answers never are.
        items: How pictures are decoded, what happens to bad rows, whether the feature store is used.
    """

    model: str = ""
    a: str = ""
    b: str = ""
    image_a: str = ""
    text_a: str = ""
    image_b: str = ""
    text_b: str = ""
    reference: list[str] = field(default_factory=list)
    how: Literal["mean", "best", "identity"] = "mean"
    false_accept_rate: float | None = None
    exit_code: bool = False
    pairs: str | None = None
    out: str | None = None
    no_track: bool = False
    items: DataConfig = field(default_factory=DataConfig)
