"""What `cross-modal evaluate` takes on the command line: what is measured, of what, by which protocol."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from cross_modal.configuration import DataConfig, EvaluationConfig


@dataclass
class EvaluateOptions(EvaluationConfig):
    """What is measured.

    Attributes:
        model: The model: runs:/ID/model, models:/NAME@ALIAS or a folder.
        data: The source, as for train; none takes what the model was trained on.
        split: The split that is measured; "all" takes every item.
        lake_runs: A CSV file with the columns run, test_image and support_image: Lake's fixed runs, measured too.
        open_set: Episodes with as many unknown classes as known ones, too: how well strangers are told from the known,
            at a threshold that the source's validation classes set (see false_accept_rate).
        features: Stored embeddings (.npz) instead of a model and its data: they are measured by the K-shot protocol.
        kshot: The K-shot protocol instead of episodes: every method learns all classes at once from K pictures of each,
            and names alone are measured beside it. Where the split has classes of its own, 30 % of each class's
            pictures are tested, 20 % validate and the rest are for shots. With --features and without numbers: 1 2 4 8
            16.
        seeds: K-shot: seeds of the splits; intervals are over them, so that one seed has none. The 4-shot split of a
            seed contains its 2-shot one.
        methods: K-shot: the classifiers by name (listed below), or all.
        max_validation: K-shot: min(K, this) validation pictures of each class choose the hyper-parameters; 0 takes
            every method's defaults. Nothing is ever chosen on the test pictures.
        allow_fewer: K-shot: a class with fewer than K pictures takes part with all it has, instead of being an error.
        views: K-shot: augmented views of each support picture, for the methods that use them (Tip-Adapter averages 10).
        base_to_new: K-shot: learn the first half of the classes, measure both halves, each among its own classes.
        without_texts: K-shot: pictures alone, as if classes had no names.
        false_accept_rate: K-shot and open set: share of strangers that may be taken for a known class; sets where
            "unknown" begins.
        templates: K-shot: what a class's name is put into before it is encoded: plain, openai_imagenet (80),
            simple_imagenet (7), one template with {} in it, or a file with one in each line.
        csv: K-shot: a file for all fits, one a row, with the chosen hyper-parameters and the protocol.
        items: How the source becomes items and splits; what is not given is as the model was trained.
    """

    model: str = ""
    data: str | None = None
    split: Literal["train", "validation", "test", "all"] = "test"
    lake_runs: str | None = None
    open_set: bool = False
    features: str | None = None
    kshot: list[int] = field(default_factory=list)
    seeds: list[int] = field(default_factory=lambda: [1, 2, 3])
    methods: list[str] = field(default_factory=lambda: ["all"])
    max_validation: int = 4
    allow_fewer: bool = False
    views: int = 1
    base_to_new: bool = False
    without_texts: bool = False
    false_accept_rate: float = 0.05
    templates: str = "plain"
    csv: str | None = None
    items: DataConfig = field(default_factory=DataConfig)
