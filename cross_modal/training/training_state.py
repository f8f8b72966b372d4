"""Everything that the next step depends on, so that a training that was killed goes on as if it had not been.

The weights of twin and loss (a cross-batch memory and running histograms are buffers of the loss), the optimizer's
moments, the random states, what the health monitor has counted, which classes were near when hard negatives were last
looked for, the best score so far. The position in the data and the learning rate are functions of the step. A
fingerprint of settings and data refuses to go on with others: that would be neither the old run nor a new one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from cross_modal.configuration import Experiment
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError
from cross_modal.training.random_states import random_states, restore_random_states

FORMAT = 1


@dataclass
class TrainingState:
    """The parts of a training whose states are kept.

    Attributes:
        twin: The twin; what `kept` leaves out is as it was built.
        criterion: The loss.
        optimizer: The optimizer of both.
        precision: Lightning Fabric's precision, which scales losses in float16.
        parts: Name → what has a `state_dict` and a `load_state_dict` besides: health, task, progress.
        processes: How many train together.
    """

    twin: TwinEncoder
    criterion: torch.nn.Module
    optimizer: torch.optim.Optimizer
    precision: Any
    parts: Mapping[str, Any]
    processes: int = 1

    def collect(self, learned: Mapping[str, torch.Tensor]) -> dict[str, Any]:
        """The present state, as tensors and primitives.

        Args:
            learned: The twin's weights that are kept.
        """
        return {
            "format": FORMAT,
            "twin": dict(learned),
            "criterion": self.criterion.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "precision": dict(self.precision.state_dict()),
            "parts": {name: part.state_dict() for name, part in self.parts.items()},
            "random": random_states(),
            "machine": machine(_device(self.twin), self.processes),
        }

    def restore(self, state: Mapping[str, Any], *, strict: bool) -> str | None:
        """Puts a state back.

        Args:
            state: What `collect` gave, read from a checkpoint.
            strict: Whether all of the twin's weights were kept.

        Returns:
            A sentence, where another machine or version wrote it and later losses may differ in their last digits.

        Raises:
            CrossModalError: If another version wrote it, or it does not fit.
        """
        if state.get("format") != FORMAT:
            raise CrossModalError(f"checkpoint: expected format {FORMAT}, found {state.get('format')!r}")
        try:
            self.twin.load_state_dict(state["twin"], strict=strict)
            self.criterion.load_state_dict(state["criterion"])
            self.optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, ValueError, KeyError) as error:
            raise CrossModalError(
                f"checkpoint: expected the state of this training, found {str(error).splitlines()[0]}"
            ) from None
        self.precision.load_state_dict(state["precision"])
        for name, part in self.parts.items():
            part.load_state_dict(state["parts"][name])
        restore_random_states(state["random"])
        return _otherwise(state.get("machine", {}), machine(_device(self.twin), self.processes))


def machine(device: torch.device, processes: int = 1) -> dict[str, str]:
    """What the last digits of a sum depend on besides its terms, as words.

    Args:
        device: Where the twin is.
        processes: How many train together; each draws its own dropout.

    >>> sorted(machine(torch.device("cpu")))
    ['device', 'processes', 'threads', 'torch']
    """
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else torch.backends.cpu.get_cpu_capability()
    return {
        "torch": str(torch.__version__),
        "device": f"{device.type} {name}",
        "threads": str(torch.get_num_threads()),
        "processes": str(processes),
    }


def _otherwise(before: Mapping[str, str], now: Mapping[str, str]) -> str | None:
    """What is other than it was, as a sentence."""
    other = [f"{name} {value}, not {before[name]}" for name, value in now.items() if before.get(name, value) != value]
    if not other:
        return None
    far = before.get("processes", now["processes"]) != now["processes"]  # another dropout, at times other statistics
    return f"resumed with {' and '.join(other)}: later losses may differ{'' if far else ' in their last digits'}"


def _device(twin: torch.nn.Module) -> torch.device:
    return next(twin.parameters()).device


def fingerprint(experiment: Experiment, digest: str) -> dict[str, Any]:
    """What a resumed training must share with the one that it goes on with.

    Args:
        experiment: All settings.
        digest: The data's.
    """
    return {"experiment": _plain(dataclasses.asdict(experiment)), "digest": digest}


def check_fingerprint(kept: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuses other settings or other data.

    Raises:
        CrossModalError: Naming the first difference.

    >>> one, other = (fingerprint(Experiment(data=name), "d") for name in ("photos", "birds"))
    >>> check_fingerprint(one, other)
    Traceback (most recent call last):
    cross_modal.errors.CrossModalError: resume: expected data photos as it was started with, found birds
    """
    before, after = _leaves(kept["experiment"]), _leaves(now["experiment"])
    for name in sorted(before | after):
        if before.get(name) != after.get(name):
            raise CrossModalError(
                f"resume: expected {name} {before.get(name)} as it was started with, found {after.get(name)}"
            )
    if kept["digest"] != now["digest"]:
        raise CrossModalError(
            f"resume: expected the data that it was started with (digest {kept['digest']}), found other items "
            f"(digest {now['digest']})"
        )


def _plain(value: Any) -> Any:
    """Tuples become lists and keys text, as a file would make them."""
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else value


def _leaves(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _leaves(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat
