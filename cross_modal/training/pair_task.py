"""Training on pairs: judged ones, triplets, or pairs that are made of classes.

All three are rows of two or three items and a verdict for each; they differ in where a step's rows come from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cross_modal.configuration import Experiment
from cross_modal.data.class_pairs import ClassPairs
from cross_modal.data.items import Items
from cross_modal.data.judged_rows import JudgedRows
from cross_modal.data.one_sided import one_sided
from cross_modal.data.pair_batches import PairBatches
from cross_modal.data.pairs import Pairs, Triplets
from cross_modal.encoders.feature_store import FeatureStore
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError
from cross_modal.objectives.pair_head import PairHead
from cross_modal.objectives.pair_loss import PairLoss
from cross_modal.pair_configuration import PairBatchConfig
from cross_modal.training.hard_negatives import HardNegatives
from cross_modal.training.item_tensors import QUARTERS
from cross_modal.training.launched import Launched
from cross_modal.training.pair_inputs import DrawnRows, PairInputs, PairStep, item_embeddings
from cross_modal.training.pair_validation import PairValidation
from cross_modal.training.processes import Processes
from cross_modal.training.shared_parts import SharedParts
from cross_modal.training.task import StepOutput
from cross_modal.training.validation import SCORE, Measure, Validation
from cross_modal.verification.comparison import comparisons, shown

VALIDATION_PAIRS = 4000  # made of validation classes
Message = Callable[[str], None]


class PairTask:
    """What the loop trains on where there are pairs.

    Args:
        experiment: All settings.
        data: Pairs, triplets, or items whose classes make pairs.
        twin: The untrained twin.
        store: Where the tokens of frozen trunks are kept, if they are.
        shared: What several trainings on the same data have in common.
        device: Where the loss goes.
        message: Told how many pairs of which verdict there are.
        measure: What is measured of the validation items besides, where they have classes.
        processes: The processes that train together; None is this one alone.

    Raises:
        CrossModalError: Settings or data that give no pairs to learn from.
    """

    def __init__(
        self,
        experiment: Experiment,
        data: Items | Pairs | Triplets,
        twin: TwinEncoder,
        store: FeatureStore | None,
        shared: SharedParts,
        device: torch.device,
        message: Message,
        measure: Measure | None = None,
        processes: Processes | None = None,
    ) -> None:
        self.twin, self.device, self.processes = twin, device, processes or Processes(Launched())
        self.criterion: PairLoss = PairLoss(experiment.pairs.objective, twin.dim, twin.normalise).to(device)
        self.head: PairHead | None = self.criterion.head
        self.mining: HardNegatives | None = None
        self.besides: Validation | None = None
        if isinstance(data, Items):
            self._from_classes(experiment, data, store, shared, message, measure)
        else:
            self._from_rows(experiment, data, store, shared, message, measure)
        self.every = experiment.pairs.refresh

    def stream(self, start: int, stop: int) -> Iterator[PairStep]:
        """The inputs of steps start … stop − 1; what is near is looked up anew in between."""
        if self.mining is None:
            return self.inputs.stream(start, stop)
        return self.inputs.stream(start, stop, self.every, self._look_anew)

    def _look_anew(self, step: int) -> None:
        """Looks up what is near, in process 0: all must draw the same pairs."""
        assert self.mining is not None
        if self.processes.leads:
            self.mining.refresh(self.twin, step)
        if self.processes.size > 1:
            self.mining.load_state_dict(self.processes.told(self.mining.state_dict() if self.processes.leads else None))

    def loss(self, image: Tensor | None, text: Tensor | None, inputs: PairStep) -> StepOutput:
        """The loss of the step's pairs."""
        items = item_embeddings(inputs, image, text, self.twin.normalise)
        ends = [end.to(self.device) for end in inputs.ends]
        if inputs.verdicts is None:
            output = self.criterion.triplets(*(items[end] for end in ends))
        else:
            a, b = ends
            output = self.criterion(items[a], items[b], inputs.verdicts.to(self.device), a, b)
        if output.kept_pairs is None:  # without a miner nothing was kept or left
            output.parts.pop("kept_pairs", None)
        image = None if image is None else image.detach()
        text = None if text is None else text.detach()
        return StepOutput(image, text, None, None, output)

    def measure(self, twin: TwinEncoder) -> dict[str, float]:
        """The metrics of the validation pairs, and what is measured of validation classes besides."""
        measured = self.validation.measure(twin)
        if self.besides is not None and measured:
            measured = {name: value for name, value in self.besides.measure(twin).items() if name != SCORE} | measured
        return measured

    def state_dict(self) -> dict[str, Any]:
        """What was near when it was last looked up."""
        return {} if self.mining is None else self.mining.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from what `state_dict` gave."""
        if self.mining is not None:
            self.mining.load_state_dict(state)

    def notices(self) -> list[str]:
        """What the feature store and the search for hard negatives did."""
        notices = self.inputs.store_notices()
        if self.mining is not None and self.mining.times:
            notices.append(
                f"hard negatives: looked up {self.mining.times} times, of {self.mining.found:,} classes last"
            )
        return notices

    def _from_rows(
        self,
        experiment: Experiment,
        data: Pairs | Triplets,
        store: FeatureStore | None,
        shared: SharedParts,
        message: Message,
        measure: Measure | None,
    ) -> None:
        """Judged pairs or triplets."""
        if measure is not None:
            raise CrossModalError(f"{data.source}: expected items with classes to measure besides, found pairs")
        if experiment.augmentation.quarter_turns:
            raise CrossModalError(
                "augmentation.quarter_turns: makes turned pictures classes of their own, and labelled pairs name no "
                "classes; set it to false"
            )
        train, valid = (
            JudgedRows.of_split(data, name, shared.split(data.items, name)) for name in ("train", "validation")
        )
        if not len(train):
            raise CrossModalError(f"{data.source}: expected pairs in the split train, found none")
        train.check_verdicts()
        message(f"pairs to train on: {train.in_words()}; {_taken(experiment.pairs.batch, train)}")
        if len(valid):
            message(f"pairs to validate on: {valid.in_words()}")
        self.validation = PairValidation(valid, self.twin, experiment, self.head, store, shared)
        batches = PairBatches(len(train), experiment.pairs.batch, experiment.training.seed, train.same)
        self.steps_per_epoch = batches.steps_per_epoch

        def draw(step: int) -> DrawnRows:
            rows = batches.batch(step)
            return DrawnRows(
                tuple(end[rows] for end in train.ends), None if train.verdicts is None else train.verdicts[rows]
            )

        self.inputs = PairInputs(train.items, self.twin, experiment, draw, store, shared, self.processes)

    def _from_classes(
        self,
        experiment: Experiment,
        data: Items,
        store: FeatureStore | None,
        shared: SharedParts,
        message: Message,
        measure: Measure | None,
    ) -> None:
        """Pairs made of the classes of items."""
        train, valid = (self._one_sided(shared, data, name) for name in ("train", "validation"))
        config = experiment.pairs
        turns = QUARTERS if experiment.augmentation.quarter_turns and self.twin.image is not None else 1
        pairs = ClassPairs(
            train,
            config.batch,
            experiment.training.seed,
            terms=experiment.objective.terms,
            hard=config.hard_negatives,
            turns=turns,
        )
        self.steps_per_epoch = pairs.steps_per_epoch
        kinds = ", ".join(" with ".join(kind) for kind in pairs.kinds)
        message(
            f"pairs to train on: made of {len(train.classes):,} classes of {data.source} ({kinds}); "
            f"{_taken(config.batch)}, and {100 * config.hard_negatives:g} % of the different ones are hard"
        )

        def draw(step: int) -> DrawnRows:
            drawn = pairs.batch(step)
            return DrawnRows((drawn.a, drawn.b), drawn.same.astype(np.float64))

        self.validation = self._class_validation(experiment, valid, store, shared)
        if measure is not None:
            items = shared.split(data, "validation")
            self.besides = Validation(items, self.twin, experiment, store, shared, measure)
        self.inputs = PairInputs(train, self.twin, experiment, draw, store, shared, self.processes)
        if config.refresh and config.hard_negatives:
            self.mining = HardNegatives(pairs, self.inputs)

    def _class_validation(
        self, experiment: Experiment, items: Items, store: FeatureStore | None, shared: SharedParts
    ) -> PairValidation:
        """Pairs of validation classes, the same in every validation; forgeries are half of the different ones."""
        nothing = np.zeros(0, np.int64)
        rows = JudgedRows(items, (nothing, nothing), np.zeros(0), False, nothing, "validation")
        batch = PairBatchConfig(VALIDATION_PAIRS)
        try:
            drawn = ClassPairs(
                items, batch, experiment.evaluation.seed, terms=experiment.objective.terms, hard=0.5
            ).batch(0)
        except CrossModalError:  # no validation classes, or none with two items: as in any training, there is no score
            return PairValidation(rows, self.twin, experiment)
        ends, verdicts = (drawn.a, drawn.b), drawn.same.astype(np.float64)
        rows = JudgedRows(items, ends, verdicts, False, items.rows[drawn.a], "validation")
        kinds = comparisons(shown(items, self.twin), drawn.a, drawn.b)
        kept = _with_both(kinds, drawn.same)
        if not kept.all():
            rows = JudgedRows(
                items, (drawn.a[kept], drawn.b[kept]), verdicts[kept], False, rows.numbers[kept], "validation"
            )
        return PairValidation(rows, self.twin, experiment, self.head, store, shared, kinds[kept])

    def _one_sided(self, shared: SharedParts, data: Items, split: str) -> Items:
        """A split's pictures and texts apart, as far as the twin reads them."""
        items = shared.split(data, split)
        image, text = self.twin.image is not None, self.twin.text is not None
        return shared.made(("one-sided", image, text), items, lambda: one_sided(items, image, text))


def _with_both(kinds: np.ndarray, same: np.ndarray) -> np.ndarray:
    """(M,) bool: the pairs of kinds that have both verdicts."""
    names = [name for name in set(kinds.tolist()) if len(set(same[kinds == name].tolist())) == 2]
    return np.isin(kinds.astype(str), names)


def _taken(config: PairBatchConfig, rows: JudgedRows | None = None) -> str:
    """What a batch takes, for a message."""
    if config.same is None or (rows is not None and rows.same is None):
        return f"a batch takes {config.pairs}"
    return f"a batch takes {config.pairs}, {100 * config.same:g} % of them same"
