"""Every setting of an experiment, as plain dataclasses: the command line, YAML files and Python read the same ones.

This module imports no torch, so that ``cross-modal train --help`` answers at once. What a field means is said where it
is declared; whether a combination makes sense is checked by the component that reads it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from cross_modal.pair_configuration import PairConfig
from cross_modal.part_configuration import PartConfig

SplitBy = Literal["label", "group", "both"]
OnBadItem = Literal["error", "skip"]


@dataclass
class DataConfig:
    """How a source becomes items and splits.

    Attributes:
        split_by: What never straddles two splits: the class, the group, or both (rows that fit nowhere are dropped).
        split_prefix: Split by the part of the label before the first "/" (an alphabet, a family).
        validation_share: Share of the train classes that validation takes where the data brings none.
        test_share: Share of the classes that test takes where the data brings no split at all.
        seed: Seed of the splits that are made here.
        on_bad_item: "error" stops at the first bad item; "skip" drops, counts and lists it.
        max_pixels: Largest picture that is decoded (width × height): a guard against decompression bombs.
        workers: Threads that decode pictures; 0 decodes in the calling thread.
        memory_gigabytes: Data sets whose decoded pictures fit in this are decoded once and kept.
        feature_store: Keep what frozen trunks and saved twins give, by content, for later epochs and runs.
    """

    split_by: SplitBy = "label"
    split_prefix: bool = False
    validation_share: float = 0.15
    test_share: float = 0.25
    seed: int = 0
    on_bad_item: OnBadItem = "error"
    max_pixels: int = 64_000_000
    workers: int = 2
    memory_gigabytes: float = 2.0
    feature_store: bool = True


@dataclass
class BatchConfig:
    """What one step sees.

    Attributes:
        classes: P, the number of classes in a batch (without labels: P distinct images with one text each).
        items: K, pictures (and up to K distinct texts) of each class.
        same_prefix: Share of a batch's classes drawn from one label prefix (an alphabet): harder negatives.
    """

    classes: int = 96
    items: int = 2
    same_prefix: float = 0.0


@dataclass
class AugmentationConfig:
    """Random affine maps of the training pictures, a function of (seed, step, row) alone.

    Attributes:
        rotation: Standard deviation of the rotation, in degrees.
        scale: Standard deviation of the log of the size, each axis on its own.
        shear: Standard deviation of the shear.
        shift: Standard deviation of the shift, as a share of the half width.
        flip: Probability of a mirror image, left to right.
        quarter_turns: Make the pictures turned by 90, 180 and 270 degrees classes of their own (characters only).
        token_dropout: Probability that a token of a text is replaced by the unknown token.
        views: On frozen trunks the steps draw from this many fixed augmentations of each picture, which the feature
            store keeps (and no token is dropped).
    """

    rotation: float = 3.5
    scale: float = 0.08
    shear: float = 0.1
    shift: float = 0.05
    flip: float = 0.0
    quarter_turns: bool = False
    token_dropout: float = 0.1
    views: int = 4


@dataclass
class ImageTrunkConfig:
    """The image trunk.

    Attributes:
        name: "conv4", "open_clip:ViT-B-32" or "timm:resnet18"; "none" for a twin of texts only.
        pretrained: An open_clip tag, a local checkpoint file or folder; None starts from scratch.
        size: Side of the square input in pixels; None takes the trunk's own.
        channels: Colour channels of the input, 1 or 3 (open_clip and timm trunks take 3).
        widths: Channels of the blocks of conv4, one block each; every block but those past `pools` halves the side.
        pools: How many of the conv4 blocks end in a 2×2 maximum.
    """

    name: str = "conv4"
    pretrained: str | None = None
    size: int | None = None
    channels: int = 1
    widths: list[int] = field(default_factory=lambda: [32, 64, 96, 192])
    pools: int = 3


@dataclass
class TextTrunkConfig:
    """The text trunk.

    Attributes:
        name: "transformer", "gru" or "open_clip:ViT-B-32"; "none" for a twin of pictures only.
        pretrained: As for the image trunk.
        tokens: Tokenizer of the trunks from scratch: "characters" or "bpe" (learned from the training texts).
        vocabulary: Most entries of a learned vocabulary.
        context: Longest text in tokens; longer ones are cut. None takes the trunk's own (64 from scratch).
        width: Width of the trunks from scratch.
        layers: Layers of the trunks from scratch.
        heads: Attention heads of the transformer from scratch.
        dropout: Dropout inside the trunks from scratch.
    """

    name: str = "transformer"
    pretrained: str | None = None
    tokens: Literal["characters", "bpe"] = "bpe"
    vocabulary: int = 512
    context: int | None = None
    width: int = 192
    layers: int = 2
    heads: int = 4
    dropout: float = 0.1


@dataclass
class PoolingConfig:
    """Attention pooling over a trunk's tokens.

    Attributes:
        queries: Number of learned queries.
        heads: Attention heads of each query.
        share: "pooling" shares pooling and projection between the two towers; "none" gives each its own.
    """

    queries: int = 4
    heads: int = 4
    share: Literal["pooling", "none"] = "pooling"


@dataclass
class TwinConfig:
    """The twin encoder.

    Attributes:
        image: The image trunk.
        text: The text trunk.
        pooling: The attention pooling on top of both.
        width: Width into which both trunks are mapped and in which is pooled.
        dim: Size of the embedding; None takes `width`, or the model's own where both trunks are one open_clip model.
        normalise: Scale embeddings to length one: scores are cosines. False keeps magnitudes: scores are −distance.
        freeze: What of the trunks stays as it is: "none", "trunk", or the blocks below the last N ("last:2").
    """

    image: ImageTrunkConfig = field(default_factory=ImageTrunkConfig)
    text: TextTrunkConfig = field(default_factory=TextTrunkConfig)
    pooling: PoolingConfig = field(default_factory=PoolingConfig)
    width: int = 256
    dim: int | None = None
    normalise: bool = True
    freeze: str = "none"


@dataclass
class TermWeights:
    """Weights of the loss's terms; anchors come from the first modality, references from the second.

    Attributes:
        image_to_text: Weight of image anchors over texts.
        text_to_image: Weight of text anchors over images.
        image_to_image: Weight of image anchors over other images.
        text_to_text: Weight of text anchors over other texts.
    """

    image_to_text: float = 1.0
    text_to_image: float = 1.0
    image_to_image: float = 1.0
    text_to_text: float = 0.0


@dataclass
class MemoryConfig:
    """Cross-batch memory of embeddings of past steps, one ring a modality.

    Attributes:
        size: Rows a modality; 0 switches it off.
        warm_up: Steps before it is used: early embeddings go stale at once.
    """

    size: int = 0
    warm_up: int = 500


@dataclass
class ObjectiveConfig:
    """What training makes small.

    Attributes:
        loss: A pytorch-metric-learning loss, or "SigLIPLoss" or "CLIPLoss".
        miner: A tuple miner, or none.
        distance: The distance of loss and miner: "CosineSimilarity", "LpDistance", "DotProductSimilarity",
            "SNRDistance"; None takes the loss's own.
        reducer: How the loss's elements become one number; None takes the mean, or the loss's own (over the active
            elements) where a margin switches pairs or triplets off.
        terms: Weights of the directions.
        memory: Cross-batch memory.
    """

    loss: PartConfig = field(default_factory=lambda: PartConfig("SupConLoss", {"temperature": 0.07}))
    miner: PartConfig | None = None
    distance: PartConfig | None = None
    reducer: PartConfig | None = None
    terms: TermWeights = field(default_factory=TermWeights)
    memory: MemoryConfig = field(default_factory=MemoryConfig)


@dataclass
class LoraConfig:
    """Low-rank changes of the attention projections of pretrained trunks, instead of their weights (extra "lora").

    Attributes:
        rank: Rank of each change; 0 switches it off.
        alpha: The change is scaled by alpha / rank.
        learning_rate: Peak learning rate of the low-rank factors.
    """

    rank: int = 0
    alpha: float = 16.0
    learning_rate: float = 2e-4


@dataclass
class TrainingConfig:
    """The loop.

    Attributes:
        steps: Optimizer steps.
        seed: Seed of weights, batches and augmentation.
        learning_rate: Peak learning rate of everything that is new.
        trunk_learning_rate: Peak learning rate of pretrained trunks.
        weight_decay: AdamW's, for matrices; never for biases, norms, gates, positions, queries and temperatures.
        warm_up: Steps of linear warm-up, before the cosine.
        gradient_clip: Largest gradient norm; 0 switches it off.
        micro_batch: Most pictures or texts of a batch that are encoded at a time; the loss still sees the whole batch.
            Saves memory and costs a second forward pass; 0 encodes all at once.
        activation_checkpointing: Keep only what goes in and out of the trunks' blocks, and compute the rest again for
            the gradient: less memory, a third more time.
        precision: "32-true", "bf16-mixed" or "16-mixed" (the loss is in float32 always).
        accelerator: "auto", "cpu" or "cuda".
        validate_every: Steps between validations.
        checkpoint_every: Steps between checkpoints that a killed training goes on from, besides one at each validation
            and at Ctrl-C; 0 adds none.
        patience: Validations without a better score before training stops; 0 never stops early.
        monitor: The validation metric that picks the best checkpoint where it is highest.
        log_every: Steps between logged points of the curves.
        last_blocks: Train the last N blocks of each trunk and freeze those below (`twin.freeze` "last:N"); 0: all.
        layer_decay: Each block of a pretrained trunk learns at this times the rate of the block above it; 1: all alike.
        lora: Train low-rank changes of pretrained trunks' attention instead of the trunks.
        weight_averaging: Points N between the twin at the start (0) and the tuned one (N): the weights of the best by
            validation are kept, both ends included; 0 switches it off.
    """

    steps: int = 750
    seed: int = 0
    learning_rate: float = 2e-3
    trunk_learning_rate: float = 1e-5
    weight_decay: float = 0.05
    warm_up: int = 60
    gradient_clip: float = 1.0
    micro_batch: int = 0
    activation_checkpointing: bool = False
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    validate_every: int = 250
    checkpoint_every: int = 0
    patience: int = 0
    monitor: str = "auto"
    log_every: int = 10
    last_blocks: int = 0
    layer_decay: float = 1.0
    lora: LoraConfig = field(default_factory=LoraConfig)
    weight_averaging: int = 0


@dataclass
class EvaluationConfig:
    """What is measured on unseen classes.

    Attributes:
        ways: N, classes in an episode.
        shots: K, pictures of each class in the support; 0 is zero-shot (names only).
        queries: Query pictures of each class.
        episodes: Episodes a setting.
        seed: Seed of the episodes.
        within_prefix: Draw the classes of an episode from one label prefix (an alphabet).
    """

    ways: list[int] = field(default_factory=lambda: [5, 20])
    shots: list[int] = field(default_factory=lambda: [0, 1, 5])
    queries: int = 5
    episodes: int = 1000
    seed: int = 0
    within_prefix: bool = False


@dataclass
class KShotConfig:
    """K-shot classification of known classes from frozen embeddings: many splits, many methods.

    Attributes:
        shots: K, support items of each class; names alone (0 shots) are measured anyway where there are texts.
        seeds: Seeds of the splits; the interval is over them.
        methods: Names of the classifiers, or "all".
        max_validation: Validation items of each class are min(K, this); 0 keeps every method's defaults.
        allow_fewer: A class with fewer than K items gives what it has, instead of being an error.
        texts: Use class texts where there are any.
        views: Augmented views of each support item, for the methods that take them; 1 is the plain item.
        base_to_new: Learn the first half of the classes, measure both halves, each among its own classes.
        false_accept_rate: Share of strangers that "unknown" may miss.
        templates: What a class's name is put into before it is encoded: "plain" (nothing), "openai_imagenet" (80),
            "simple_imagenet" (7), one template with {} in it, or a file with one in each line; their mean counts.
    """

    shots: list[int] = field(default_factory=lambda: [1, 2, 4, 8, 16])
    seeds: list[int] = field(default_factory=lambda: [1, 2, 3])
    methods: list[str] = field(default_factory=lambda: ["all"])
    max_validation: int = 4
    allow_fewer: bool = False
    texts: bool = True
    views: int = 1
    base_to_new: bool = False
    false_accept_rate: float = 0.05
    templates: str = "plain"


@dataclass
class HealthConfig:
    """When training stops or warns.

    Attributes:
        spread: Collapse is a spread of the embedding's dimensions below this (1 is isotropic).
        idle_steps: Warn after so many steps in a row in which the miner kept nothing.
        stop_on_collapse: Stop (true) or only warn.
    """

    spread: float = 0.05
    idle_steps: int = 50
    stop_on_collapse: bool = True


@dataclass
class Experiment:
    """One training run, whole.

    Attributes:
        data: The source: a manifest (.csv, .tsv, .parquet, .jsonl), a folder of class folders, "torchvision:NAME",
            "webdataset:PATTERN" or "glyphs".
        items: How the source becomes items and splits.
        twin: The twin encoder.
        objective: The loss with its miner, distance and memory.
        pairs: Training on labelled pairs and triplets, or on pairs made of classes.
        batch: What one step sees.
        augmentation: Random changes of the training items.
        training: The loop.
        evaluation: What is measured on unseen classes.
        health: When training stops or warns.
    """

    data: str = "glyphs"
    items: DataConfig = field(default_factory=DataConfig)
    twin: TwinConfig = field(default_factory=TwinConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    pairs: PairConfig = field(default_factory=PairConfig)
    batch: BatchConfig = field(default_factory=BatchConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    health: HealthConfig = field(default_factory=HealthConfig)
