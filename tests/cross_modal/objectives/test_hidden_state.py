"""Whatever a loss, a miner or a memory remembers of past steps is in its `state_dict`: a fresh one goes on with it.

pytorch-metric-learning keeps some of it in plain attributes, which a checkpoint would lose without a word.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from cross_modal.configuration import MemoryConfig, ObjectiveConfig, PartConfig, TermWeights
from cross_modal.objectives.cross_modal_loss import CrossModalLoss, LossOutput
from cross_modal.objectives.losses import LOSSES
from cross_modal.objectives.miners import MINERS
from cross_modal.objectives.pair_configuration import PairObjectiveConfig
from cross_modal.objectives.pair_loss import PairLoss
from cross_modal.objectives.pair_losses import PAIR_LOSSES

IMAGE_IDS = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3, 4, 5])
TEXT_IDS = torch.tensor([0, 1, 2, 3, 3, 4, 6])
VERDICTS = torch.tensor([1, 0, 1, 0, 0, 1, 0, 0, 1, 0])
PAIR_MARGINS = {"PairMarginMiner": {"neg_margin": 1.4}}
REQUIRED = {"RankedListLoss": {"margin": 0.4, "Tn": 2.0}}
REFERENCES = [name for name, entry in LOSSES.items() if entry.family in ("reference", "own") and name != "VICRegLoss"]
BROKEN, STEPS = 3, 7  # a memory of 24 rows has been filled and overwritten by then
Step = Callable[[nn.Module, int], LossOutput]


def rows(seed: int, count: int) -> Tensor:
    return torch.randn(count, 8, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def class_step(loss: nn.Module, step: int) -> LossOutput:
    image, text = rows(step, 10), rows(100 + step, 7)
    output = loss(image, IMAGE_IDS, text, TEXT_IDS)
    output.loss.backward()
    loss.after_step(image, IMAGE_IDS, text, TEXT_IDS)
    return output


def pair_step(loss: nn.Module, step: int) -> LossOutput:
    output = loss(rows(step, 10), rows(100 + step, 10), VERDICTS)
    output.loss.backward()
    return output


def told(loss: nn.Module, step: Step, steps: range) -> list[dict[str, float]]:
    """All that each step gave, after which the parameters move a little, as an optimizer would move them."""
    found = []
    for number in steps:
        output = step(loss, number)
        found.append({"loss": float(output.loss.detach())} | {name: float(part) for name, part in output.parts.items()})
        with torch.no_grad():
            for parameter in loss.parameters():
                if parameter.grad is not None:
                    parameter -= 0.01 * parameter.grad
                    parameter.grad = None
    return found


def goes_on(make: Callable[[], nn.Module], step: Step) -> bool:
    """Whether a fresh loss with the state of one that was broken off goes on as one that was not."""
    torch.manual_seed(0)
    whole = told(make(), step, range(STEPS))
    torch.manual_seed(0)
    first = make()
    early = told(first, step, range(BROKEN))
    kept, random = first.state_dict(), torch.get_rng_state()
    torch.manual_seed(77)  # another process: other numbers, other weights
    second = make()
    second.load_state_dict(kept)
    torch.set_rng_state(random)
    return early + told(second, step, range(BROKEN, STEPS)) == whole


def class_loss(name: str, miner: PartConfig | None = None, memory: int = 0) -> CrossModalLoss:
    terms = TermWeights(1, 1, 0, 0) if memory else TermWeights(1, 1, 1, 1)
    config = ObjectiveConfig(
        PartConfig(name, REQUIRED.get(name, {})), miner, terms=terms, memory=MemoryConfig(memory, warm_up=1)
    )
    return CrossModalLoss(config, dim=8, num_classes=7, normalise=name != "VICRegLoss")


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_goes_on(name: str) -> None:
    assert goes_on(lambda: class_loss(name), class_step)


@pytest.mark.parametrize("name", REFERENCES)
def test_every_loss_that_can_use_a_memory_goes_on_with_it(name: str) -> None:
    assert goes_on(lambda: class_loss(name, memory=24), class_step)


@pytest.mark.parametrize("miner", MINERS)
def test_every_miner_goes_on(miner: str) -> None:
    part = PartConfig(miner, PAIR_MARGINS.get(miner, {}))
    assert goes_on(lambda: class_loss("TripletMarginLoss", part, memory=24), class_step)


@pytest.mark.parametrize("name", PAIR_LOSSES)
def test_every_loss_over_pairs_goes_on(name: str) -> None:
    assert goes_on(lambda: PairLoss(PairObjectiveConfig(PartConfig(name)), 8, True), pair_step)


def test_a_state_that_is_lost_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    real = nn.Module.load_state_dict
    for name, lost in (("DynamicSoftMarginLoss", "hist_"), ("ArcFaceLoss", "W")):

        def forgets(self: nn.Module, state: dict[str, Tensor], lost: str = lost) -> None:
            real(self, {key: value for key, value in state.items() if not key.endswith(lost)}, strict=False)

        with monkeypatch.context() as patched:
            patched.setattr(nn.Module, "load_state_dict", forgets)
            assert not goes_on(lambda name=name: class_loss(name), class_step), name
