"""Ten steps of the training loop in each of several processes, for comparison with one: `torchrun rank_steps.py OUT`.

The trunks have no batch statistics and no kinks, at which the last bit would decide. Writes OUT/RANK.pt: kind → losses,
parts of the losses, gradients, and the weights after the last step.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from toys.judged import sentences, text_experiment
from toys.shapes import experiment, shapes

from cross_modal.configuration import Experiment, ImageTrunkConfig, MemoryConfig, PartConfig, TermWeights
from cross_modal.data.items import Items, column
from cross_modal.data.pairs import Pairs
from cross_modal.training.listener import Silence
from cross_modal.training.loop import Loop
from cross_modal.training.processes import joined_processes

STEPS = 10


def plain(**training: object) -> tuple[Experiment, Items]:
    """Nine classes: eighteen pictures, and nine texts, which two processes share unevenly."""
    settings = experiment(steps=STEPS, **training)
    settings.batch.classes = 9
    settings.twin.image = ImageTrunkConfig(name="timm:test_vit", size=32, channels=3)
    settings.health.stop_on_collapse = False  # an untrained trunk makes embeddings nearly alike at first
    return settings, shapes()


def micro_batches() -> tuple[Experiment, Items]:
    """As `plain`, five rows at a time."""
    return plain(micro_batch=5)


def memory_and_miner() -> tuple[Experiment, Items]:
    """A miner and a memory, which must see the whole batch."""
    settings, items = plain()
    settings.objective.loss = PartConfig("MultiSimilarityLoss")
    settings.objective.miner = PartConfig("MultiSimilarityMiner", {"epsilon": 0.3})
    settings.objective.memory = MemoryConfig(size=64, warm_up=2)
    return settings, items


def own_parameters() -> tuple[Experiment, Items]:
    """A loss that learns proxies of its own."""
    settings, items = plain()
    settings.objective.loss = PartConfig("ProxyAnchorLoss")
    return settings, items


def pairs() -> tuple[Experiment, Items]:
    """Pairs of classes."""
    settings, items = plain()
    settings.pairs.from_classes, settings.pairs.batch.pairs, settings.pairs.refresh = True, 15, 0
    return settings, items


def hard_negatives() -> tuple[Experiment, Items]:
    """What is near is looked up anew every four steps; the order of near classes may hang on the last bit."""
    settings, items = pairs()
    settings.pairs.refresh, settings.pairs.hard_negatives = 4, 0.5
    return settings, items


def lonely_text() -> tuple[Experiment, Items]:
    """Of two classes one has a text: process 1 never has any."""
    settings, items = plain()
    items = items.split("train")
    first, second = items.classes[:2]
    rows = [row for row, label in enumerate(items.labels) if label in (first, second)]
    chosen = items.take(torch.tensor(rows).numpy())
    texts = [text if label == first else None for text, label in zip(chosen.texts, chosen.labels, strict=True)]
    items = Items.of(images=list(chosen.images), texts=texts, labels=list(chosen.labels), splits=["train"] * len(rows))
    settings.objective.terms = TermWeights(1, 1, 1, 0)
    return settings, items


def fewer_rows_than_processes() -> tuple[Experiment, Pairs]:
    """Two people judge one picture and one text: process 1 has nothing to encode."""
    settings, items = pairs()
    settings.pairs.batch.pairs = 2
    picture, name = items.images[0], items.texts[0]
    both = Items.of(images=[picture, None], texts=[None, name], splits=["train"] * 2, source="two.csv")
    a, b, rows = np.zeros(2, np.int64), np.ones(2, np.int64), np.arange(1, 3)
    return settings, Pairs(both, a, b, np.array([True, False]), None, column(["train"] * 2), rows, "two.csv")


def half_precision() -> tuple[Experiment, Pairs]:
    """Scaled losses: whoever has no row must scale along. Sums of float16 hang on how rows are shared."""
    settings, items = fewer_rows_than_processes()
    settings.training.precision = "16-mixed"
    settings.pairs.objective.loss = PartConfig("ContrastiveLoss")  # nothing in it learns
    return settings, items


def checkpointed_and_clipped() -> tuple[Experiment, Items]:
    """Activations are made anew, by parts of the batch, and gradients are clipped to a hundredth."""
    return plain(micro_batch=7, activation_checkpointing=True, gradient_clip=0.01)


def texts_alone() -> tuple[Experiment, Items]:
    """No picture at all."""
    settings, _ = plain()
    settings.objective.terms = TermWeights(0, 0, 0, 1)
    settings.batch.classes = 3
    return text_experiment(settings), sentences()


KINDS: tuple[Callable[[], tuple[Experiment, Items | Pairs]], ...] = (
    plain, micro_batches, memory_and_miner, own_parameters, pairs, lonely_text, texts_alone, fewer_rows_than_processes,
    checkpointed_and_clipped,
)  # fmt: skip
ALL_KINDS = (*KINDS, hard_negatives, half_precision)


def steps_of(kind: Callable[[], tuple[Experiment, Items | Pairs]], folder: Path) -> dict[str, object]:
    """Trains for ten steps and writes down what came of each."""
    settings, items = kind()
    with joined_processes() as processes:
        loop = Loop(settings, items, folder, Silence(), processes=processes)
        loop.twin.train()
        losses, parts, gradients = [], [], []
        backward = loop._backward

        def noted(inputs: object) -> object:
            found = backward(inputs)
            named = [*loop.twin.named_parameters(), *loop.criterion.named_parameters()]
            gradients.append({name: p.grad.clone() for name, p in named if p.grad is not None})
            parts.append({name: float(value) for name, value in found.output.parts.items()})
            return found

        loop._backward = noted  # type: ignore[method-assign]
        for step, inputs in enumerate(loop.task.stream(0, STEPS)):
            losses.append(loop._step(step, inputs)["train/loss"])
            loop.result.steps = step + 1
        weights = {name: value.clone() for name, value in loop.twin.state_dict().items()}
    return {"losses": losses, "parts": parts, "gradients": gradients, "weights": weights}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    with joined_processes() as together:
        found = {kind.__name__: steps_of(kind, folder) for kind in ALL_KINDS}
    torch.save(found, folder / f"{together.rank}.pt")
